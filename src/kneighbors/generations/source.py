"""What is published: an artifact, wherever it comes from, as a directory of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kneighbors.artifact import unpack
from kneighbors.artifact.directory import Directory, OpenFile
from kneighbors.artifact.opened import Opened
from kneighbors.artifact.publishing import resolved
from kneighbors.search.progress import Progress
from kneighbors.storage import translated
from kneighbors.storage.temporary import temporary_folder

_READ_AT_ONCE = 1 << 22


@contextmanager
def opened_source(path: str | os.PathLike[str], progress: Progress) -> Iterator[Opened]:
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
        yield Opened(Directory(source))
        return
    with temporary_folder() as folder:
        unpacked = folder / "artifact"
        unpack(source, unpacked, progress=progress)
        yield Opened(Directory(unpacked))


def pieces(file: OpenFile) -> Iterator[bytes]:
    """Yield all bytes of a file, some at a time."""
    for start in range(0, file.bytes, _READ_AT_ONCE):
        yield file.read(start, min(_READ_AT_ONCE, file.bytes - start))
