"""Files of an artifact, opened so that they are what they seem.

A directory is opened once and its files relative to it, so that an artifact replaced meanwhile is
never mixed with its successor. A file must be a regular one with a single name: a link could be
aimed elsewhere after it was checked, a device or a FIFO could block for ever.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray

from kneighbors.artifact.npy import MAX_HEADER_BYTES, Header, array_of, parse_header
from kneighbors.errors import ArtifactError
from kneighbors.storage import translated

_HASHED_AT_ONCE = 1 << 20


class Descriptor:
    """An open file or directory that is closed when nobody refers to it any more.

    It is never closed earlier: its number could be given to another file while a thread still
    reads from it.
    """

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)

    def __reduce__(self) -> NoReturn:
        # A copy would close a number that is not its own.
        raise TypeError("An open file cannot be copied or pickled.")


class Directory:
    """An opened directory.

    Parameters
    ----------
    path : Path
        Links on the way to it are followed; links within it are not.

    Raises
    ------
    StorageError
        When it is missing or forbidden.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with translated(path):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._descriptor = Descriptor(os.open(path, flags))
            status = os.fstat(self.number)
        #: Tells this directory from one that took its name later.
        self.identity = (status.st_dev, status.st_ino)

    @property
    def number(self) -> int:
        """The descriptor's number, for calls with ``dir_fd``."""
        return self._descriptor.number

    def identity_of(self, name: str) -> tuple[int, int, int] | None:
        """Return what tells a file from one that took its name later; None when there is none."""
        try:
            status = os.stat(name, dir_fd=self.number, follow_symlinks=False)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_ctime_ns

    def open(self, name: str) -> OpenFile:
        """Return a file of this directory, opened for reading.

        Raises
        ------
        FileNotFoundError
            When it is not there.
        ArtifactError
            ``artifact-unsafe`` when it is a link, has a second name, or is no regular file.
        StorageError
            When it cannot be read.
        """
        where = str(self.path / name)
        # Without O_NONBLOCK, opening a FIFO would wait for somebody to write to it.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            number = os.open(name, flags, dir_fd=self.number)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:
                raise _unsafe("a link or a device", where) from error
            with translated(where):
                raise
        return OpenFile(Descriptor(number), where)


class OpenFile:
    """A regular file with a single name, opened for reading."""

    def __init__(self, descriptor: Descriptor, where: str) -> None:
        self._descriptor = descriptor
        self.where = where
        with translated(where):
            status = os.fstat(descriptor.number)
        if not stat.S_ISREG(status.st_mode):
            raise _unsafe("something else", where)
        if status.st_nlink > 1:
            raise _unsafe("one with several names (hard links)", where)
        self.bytes = status.st_size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly so many bytes.

        Raises
        ------
        ArtifactError
            ``artifact-damaged`` when the file has become shorter.
        StorageError
            When the medium fails.
        """
        with translated(self.where):
            data = os.pread(self._descriptor.number, length, offset)
            while len(data) < length:
                more = os.pread(self._descriptor.number, length - len(data), offset + len(data))
                if not more:
                    raise damaged(self.where, offset, offset + length, "the file ends before")
                data += more
        return data

    def read_each(self, offsets: list[int], length: int) -> bytes:
        """Return so many bytes from each offset, joined; as `read`, at a lower cost a piece."""
        number, pread = self._descriptor.number, os.pread
        with translated(self.where):
            pieces = [pread(number, length, offset) for offset in offsets]
        for place, piece in enumerate(pieces):
            if len(piece) < length:
                pieces[place] = self.read(offsets[place], length)
        return b"".join(pieces)

    def read_into(self, offset: int, out: NDArray[Any]) -> None:
        """Fill an array with the bytes from an offset on; errors as of `read`."""
        rest = out.data.cast("B") if out.size else memoryview(b"")
        with translated(self.where):
            while len(rest):
                done = os.preadv(self._descriptor.number, [rest], offset)
                if not done:
                    raise damaged(self.where, offset, offset + len(rest), "the file ends before")
                rest, offset = rest[done:], offset + done

    def header(self) -> Header:
        """Return what the ``.npy`` header says, compared with the length of the file."""
        start = self.read(0, min(MAX_HEADER_BYTES, self.bytes))
        return parse_header(start, self.bytes, self.where)

    def sha256(self, take: Callable[[int, bytes], None] | None = None) -> str:
        """Return the SHA-256 of the file, read once without being mapped.

        Parameters
        ----------
        take : callable, optional
            Given each piece that goes into it, and where it lies.
        """
        digest = sha256()
        for start in range(0, self.bytes, _HASHED_AT_ONCE):
            data = self.read(start, min(_HASHED_AT_ONCE, self.bytes - start))
            digest.update(data)
            if take is not None:
                take(start, data)
        return digest.hexdigest()

    def state(self) -> tuple[int, int, int]:
        """Return what changes when the file is written to or cut: its length and its times."""
        with translated(self.where):
            status = os.fstat(self._descriptor.number)
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def map(self) -> mmap.mmap:
        """Return the file mapped into memory, read-only and shared with other processes."""
        with translated(self.where):
            return mmap.mmap(self._descriptor.number, self.bytes, access=mmap.ACCESS_READ)

    def map_array(self, header: Header) -> NDArray[Any]:
        """Return the array of a ``.npy`` file, mapped and not writeable."""
        return array_of(self.map(), header)


def damaged(where: str, start: int, stop: int, what: str) -> ArtifactError:
    """Return the refusal of bytes that are not those that were saved."""
    return ArtifactError(
        "artifact-damaged",
        f"Expected the bytes that were saved, got others: {what}.",
        where=f"{where}, bytes {start} to {stop}",
        hint="Restore the artifact, or save it again.",
    )


def wrong_length(where: str, length: int, expected: int) -> ArtifactError:
    """Return the refusal of a file that is shorter or longer than was saved."""
    start, stop = sorted((length, expected))
    return damaged(where, start, stop, f"{length} bytes in the place of {expected}")


def _unsafe(got: str, where: str) -> ArtifactError:
    return ArtifactError(
        "artifact-unsafe",
        f"Expected a regular file, got {got}.",
        where=where,
        hint="Copy the artifact with the contents of its files.",
    )
