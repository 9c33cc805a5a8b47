"""What files of an artifact may be called, and what leftovers of a dead writer are called."""

from __future__ import annotations

import re

MANIFEST = "manifest.json"

#: The manifest of manifests, where the directory holds an artifact in shards.
SHARDS = "shards.json"

#: Who made the manifest; see `kneighbors.artifact.signing`.
SIGNATURE = "manifest.sig"

#: A part's name in the manifest. Index parts are called what the index calls them.
PART_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")

#: A part's file. The hexadecimal middle tells apart files of two artifacts in one directory, which
#: happens while an artifact is replaced in place.
PART_FILE = re.compile(r"[a-z][a-z0-9_-]{0,63}(?:\.[0-9a-f]{16})?\.(?:npy|arrow)")

#: Names that begin so are unfinished work of a writer.
UNFINISHED = ".kneighbors-"

#: A model directory's entry point, and what keeps AWS's multi-model server from taking the manifest
#: for one of its own, whatever the case of its letters.
CODE = "code"
FOREIGN_MANIFEST = "MAR-INF/MANIFEST.json"
SKIPPED_TREES = frozenset({CODE, "MAR-INF"})

#: What may lie beside an artifact's files from the start; a file system keeps one at its root.
COMPANY = SKIPPED_TREES | {"lost+found"}
