"""The saved form of an index: a directory of checked files, or the same as a ``.tar.gz``.

`save` writes one, `sign` says whose it is, `open_artifact` opens it, `verify` reads every byte of
it, `pack` and `unpack` turn a directory into an archive and back.
`docs/reference/artifact-format.md` says what the bytes are. There is no pickle in it and no path
that leads to one. Nothing here imports scikit-learn; pyarrow is imported when an attribute table is
written or first read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kneighbors.artifact.manifest import Manifest
    from kneighbors.artifact.packing import pack
    from kneighbors.artifact.reader import Artifact, open_artifact
    from kneighbors.artifact.signing import sign
    from kneighbors.artifact.unpacking import unpack
    from kneighbors.artifact.verification import PartReport, verify
    from kneighbors.artifact.writer import save

__all__ = [
    "Artifact",
    "Manifest",
    "PartReport",
    "open_artifact",
    "pack",
    "save",
    "sign",
    "unpack",
    "verify",
]

_HOME_OF = {
    "Artifact": "reader",
    "Manifest": "manifest",
    "PartReport": "verification",
    "open_artifact": "reader",
    "pack": "packing",
    "save": "writer",
    "unpack": "unpacking",
    "sign": "signing",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'kneighbors.artifact' has no attribute {name!r}")
    value = getattr(import_module(f"kneighbors.artifact.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
