"""What a model takes of the memory that the process may use."""

from __future__ import annotations

from pathlib import Path

from kneighbors.artifact.memfile import available_memory
from kneighbors.errors import ArtifactError

__all__ = ["available_memory", "memory_of"]


def memory_of(path: Path, workers: int) -> int:
    """Return the bytes of memory that a model is reckoned at.

    Of an artifact the workers share one copy, and its vectors are read where a candidate
    lies; resident is the rest: heads, tails, ids, attributes. Of what only a script understands
    each worker has a copy, of about the size of its files.

    Raises
    ------
    ArtifactError, StorageError
        If it is a damaged artifact, or cannot be read.
    """
    from kneighbors.artifact.directory import Directory
    from kneighbors.artifact.opened import Opened
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
