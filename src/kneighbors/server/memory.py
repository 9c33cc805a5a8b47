"""Memory that the process may use, and what a model takes of it."""

from __future__ import annotations

import os
from pathlib import Path

from kneighbors.errors import ArtifactError

#: Where a container's bound is, by the system's version of control groups.
_BOUNDS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def available_memory() -> int:
    """Return the bytes of memory of this container, or of the machine."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _BOUNDS:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            most = min(most, int(text))
    return most


def memory_of(path: Path, workers: int) -> int:
    """Return the bytes of memory that a model is reckoned at.

    Of an artifact the workers share one mapped copy, and its vectors are read where a candidate
    lies; resident is the rest: heads, tails, ids, attributes. Of what only a script understands
    each worker has a copy, of about the size of its files.

    Raises
    ------
    ArtifactError, StorageError
        If it is a damaged artifact, or cannot be read.
    """
    from kneighbors.artifact.directory import Directory
    from kneighbors.artifact.reader import Opened
    from kneighbors.storage import translated

    try:
        parts = Opened(Directory(path)).manifest.parts.values()
    except ArtifactError as error:
        if error.code != "artifact-unknown":
            raise
        with translated(path):
            files = sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
        return workers * files
    return sum(part.bytes for part in parts if part.role != "vectors")
