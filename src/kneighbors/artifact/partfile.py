"""One file being written: hashed while it is written, on disk when it is closed."""

from __future__ import annotations

import os
from hashlib import sha256

_WRITTEN_AT_ONCE = 1 << 23


class PartFile:
    """A new file in a directory that is being filled.

    Parameters
    ----------
    directory : int
        Descriptor of the directory.
    name : str
        Name of the file, which must not exist.
    block_bytes : int, optional
        Take a checksum of each block of this length as well.

    Raises
    ------
    OSError
        From every method; whoever knows the path translates it.
    """

    def __init__(self, directory: int, name: str, block_bytes: int | None = None) -> None:
        self.name = name
        self.bytes = 0
        self.block_bytes = block_bytes
        self._digest = sha256()
        self._block = sha256()
        self._checksums: list[bytes] = []
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._number = os.open(name, flags, 0o666, dir_fd=directory)

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes; returns how many, which is all of them."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _WRITTEN_AT_ONCE):
            piece = view[start : start + _WRITTEN_AT_ONCE]
            self._digest.update(piece)
            if self.block_bytes is not None:
                self._hash_blocks(piece, self.block_bytes)
            self.bytes += len(piece)
            while len(piece):
                piece = piece[os.write(self._number, piece) :]
        return len(view)

    def close(self) -> None:
        """Wait until the bytes are on disk, and close the file."""
        if self._number < 0:
            return
        number, self._number = self._number, -1
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def abandon(self) -> None:
        """Close the file without waiting for the disk."""
        if self._number >= 0:
            number, self._number = self._number, -1
            os.close(number)

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written, in hexadecimal digits."""
        return self._digest.hexdigest()

    @property
    def checksums(self) -> bytes:
        """SHA-256 of each block, one after the other."""
        rest = self.bytes % (self.block_bytes or 1)
        return b"".join(self._checksums) + (self._block.digest() if rest else b"")

    def _hash_blocks(self, piece: memoryview, block_bytes: int) -> None:
        start = 0
        position = self.bytes
        while start < len(piece):
            length = min(block_bytes - position % block_bytes, len(piece) - start)
            self._block.update(piece[start : start + length])
            start += length
            position += length
            if position % block_bytes == 0:
                self._checksums.append(self._block.digest())
                self._block = sha256()
