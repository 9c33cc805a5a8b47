"""Two file-like ends of a transfer: one that reads ranges, one that is read from and counted."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from kneighbors.errors import StorageError
from kneighbors.search.progress import Progress
from kneighbors.storage.failures import storage_error

_CHUNK_BYTES = 1 << 20


class RangeReader(io.RawIOBase):
    """An object as a file: read in order, it streams; after a `seek`, it streams from there.

    Parameters
    ----------
    size_bytes : int
        Length of the object.
    stream : callable
        ``stream(start)`` yields the bytes from `start` to the end.
    """

    def __init__(self, size_bytes: int, stream: Callable[[int], Iterator[bytes]]) -> None:
        super().__init__()
        self._size_bytes = size_bytes
        self._stream = stream
        self._position = 0
        self._chunks: Iterator[bytes] | None = None
        self._chunk = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset; nothing is read yet."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        position = max(0, base + offset)
        if position != self._position:
            self._drop()
            self._position = position
        return position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` as far as the range that has arrived goes; 0 at the end."""
        if self._position >= self._size_bytes:
            return 0
        if self._chunks is None:
            self._chunks = self._stream(self._position)
        if not self._chunk:
            self._chunk = memoryview(next(self._chunks))
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._chunk))
        target[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        self._position += count
        return count

    def close(self) -> None:
        """Give up what is under way."""
        self._drop()
        super().close()

    def _drop(self) -> None:
        chunks, self._chunks, self._chunk = self._chunks, None, memoryview(b"")
        if chunks is not None:
            chunks.close()  # type: ignore[attr-defined]


class Source:
    """A file that is being uploaded: tells how far it is, and keeps what reading it raised.

    Parameters
    ----------
    file : binary file
        Open for reading, at its start.
    path : Path
        Its name, for messages.
    total : int
        Its length in bytes.
    progress : callable
        Called as ``progress("uploading", done, total)``.
    """

    def __init__(self, file: BinaryIO, path: Path, total: int, progress: Progress) -> None:
        self.failure: StorageError | None = None
        self._file = file
        self._path = path
        self._total = total
        self._progress = progress
        self._done = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes of the file, a few at a time."""
        while True:
            try:
                data = self._file.read(_CHUNK_BYTES)
            except OSError as error:
                self.failure = storage_error(error, self._path)
                raise
            if not data:
                return
            self._done += len(data)
            self._progress("uploading", self._done, max(self._done, self._total))
            yield data
