"""What a store can do, whichever it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from kneighbors.search.progress import Progress, ignore
from kneighbors.storage.address import Address


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a listing.

    Attributes
    ----------
    address : Address
        Where it lies.
    size_bytes : int
        Its length when it was listed.
    modified_s : float
        When it was last written, in seconds since 1970 by the store's clock.
    """

    address: Address
    size_bytes: int
    modified_s: float = 0.0


class Store(Protocol):
    """Objects at addresses. Every failure is a `StorageError` that names the address."""

    def list(self, address: Address) -> Iterator[Entry]:
        """Yield what lies below a directory or a prefix, at any depth, in the order of names.

        The order is that of the bytes of the full names, the same on disk and on S3. Nothing is
        yielded for the address itself.
        """

    def size(self, address: Address) -> int:
        """Return the length of an object in bytes."""

    def exists(self, address: Address) -> bool:
        """Tell whether there is an object or, where the address ends in a slash, any below it."""

    def open_read(self, address: Address) -> BinaryIO:
        """Open an object for reading, from the start or from anywhere (`seek`)."""

    def read(self, address: Address, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes from `start` to `stop`, both within the object."""

    def download(self, address: Address, path: Path, progress: Progress = ignore) -> int:
        """Copy an object into a file, whole or not at all; return its length in bytes."""

    def put(self, address: Address, data: bytes | bytearray | memoryview) -> None:
        """Write an object, whole or not at all, over whatever is there."""

    def put_if(
        self, address: Address, data: bytes | bytearray | memoryview, expected: str | None
    ) -> str:
        """Write an object if its version is the expected one, whole or not at all.

        Parameters
        ----------
        address : Address
        data : bytes-like
            Small: it is written in one piece.
        expected : str or None
            Tag of the version that may be replaced, from `read_tagged` or from here; None if there
            must be none.

        Returns
        -------
        str
            Tag of the new version.

        Raises
        ------
        StorageError
            With code ``storage-changed`` if there is another version, or one although there must
            be none; then nothing was written.
        """

    def read_tagged(self, address: Address) -> tuple[bytes, str]:
        """Return all bytes of a small object, and the tag of the version that they are of.

        Raises
        ------
        StorageError
            With code ``storage-too-large`` for more than 2 MiB.
        """

    def upload(self, path: Path, address: Address, progress: Progress = ignore) -> int:
        """Copy a file into an object, whole or not at all; return its length in bytes."""

    def delete(self, address: Address) -> None:
        """Remove an object; there need be none."""
