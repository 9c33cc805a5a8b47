"""What is published: an artifact, wherever it comes from, as a directory of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kneighbors.artifact import unpack
from kneighbors.artifact.directory import Directory, OpenFile
from kneighbors.artifact.names import MANIFEST, SHARDS
from kneighbors.artifact.opened import Opened
from kneighbors.artifact.publishing import resolved
from kneighbors.generations.top import Top
from kneighbors.search.progress import Progress
from kneighbors.shards.member import open_member
from kneighbors.shards.opening import is_sharded, read_document
from kneighbors.storage import translated
from kneighbors.storage.temporary import temporary_folder

_READ_AT_ONCE = 1 << 22


class Source:
    """An artifact whose files can be read, in one piece or in shards.

    Parameters
    ----------
    path : Path
        Its directory.

    Raises
    ------
    ArtifactError, StorageError
        When its manifest is missing or refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._single: Opened | None = None
        if is_sharded(path):
            self.top = Top(SHARDS, read_document(path)[1], str(path / SHARDS))
        else:
            self._single = Opened(Directory(path))
            self.top = Top(MANIFEST, self._single.manifest_bytes, str(path / MANIFEST))

    @property
    def bytes(self) -> int:
        """Length of all parts."""
        return self.top.manifest.total_bytes

    def folders(self) -> Iterator[tuple[str, Opened]]:
        """Yield what each directory of it is called, of shards their folders, and the directory.

        Raises
        ------
        ArtifactError
            ``shards-incomplete``, ``shards-generation`` or ``shards-differ`` for a shard that is
            not the one that is meant.
        """
        if self._single is not None:
            yield "", self._single
        manifest = self.top.shards
        if manifest is not None:
            for entry in manifest.shards:
                yield entry.folder, open_member(self.path / entry.folder, entry, manifest)


@contextmanager
def opened_source(path: str | os.PathLike[str], progress: Progress) -> Iterator[Source]:
    """Give an artifact whose files can be read.

    Parameters
    ----------
    path : str or path
        A directory; or a ``.tar.gz``, which is unpacked to the directory for temporary files.
    progress : callable
    """
    source = resolved(path)
    with translated(source):
        is_directory = source.is_dir()
    if is_directory:
        yield Source(source)
        return
    with temporary_folder() as folder:
        unpacked = folder / "artifact"
        unpack(source, unpacked, progress=progress)
        yield Source(unpacked)


def pieces(file: OpenFile) -> Iterator[bytes]:
    """Yield all bytes of a file, some at a time."""
    for start in range(0, file.bytes, _READ_AT_ONCE):
        yield file.read(start, min(_READ_AT_ONCE, file.bytes - start))
