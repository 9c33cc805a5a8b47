"""A file in memory that cannot be cut short, shared by the processes that know of it."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from kneighbors.artifact.board import Board
from kneighbors.artifact.directory import Descriptor
from kneighbors.storage import translated

#: Writes bytes from an offset on.
Write = Callable[[int, bytes], None]

PAGE = mmap.PAGESIZE
_MAGIC = b"kneighbors copy of "

#: Where a container's bound is, by the system's version of control groups.
_BOUNDS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@cache
def is_possible() -> bool:
    """Tell whether this system has files in memory that can be sealed; Linux has."""
    if not hasattr(os, "memfd_create") or not hasattr(fcntl, "F_ADD_SEALS"):
        return False
    try:
        Descriptor(_new())
    except OSError:  # pragma: no cover - a sandbox that does not know the call
        return False
    return True


_board: Board | None = None
_maps = True


def never_map() -> None:
    """Let this process, and those that it will fork, map no files of artifacts.

    A server calls it before it forks. Copies are shared by all of them.
    """
    global _board, _maps
    _maps = False
    if _board is None and is_possible():
        _board = Board()


def maps() -> bool:
    """Tell whether this process maps files, unless it is told otherwise."""
    return _maps


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


class MemoryFile:
    """A file in memory, whose first page tells what it is a copy of.

    Parameters
    ----------
    descriptor : Descriptor
        Kept open for as long as a view is there, for others to open it by.
    size : int
        In bytes.
    is_sealed : bool
        Whether nobody can write to it.

    Attributes
    ----------
    view : memoryview
        All of it, read-only.
    """

    def __init__(self, descriptor: Descriptor, size: int, *, is_sealed: bool) -> None:
        self._number = descriptor.number
        self.view = memoryview(_Mapped.of(descriptor, size, is_sealed=is_sealed))

    @classmethod
    def shared(cls, key: str, size: int, fill: Callable[[Write], None] | None = None) -> MemoryFile:
        """Return the copy that another process of the family has, or a new one.

        Parameters
        ----------
        key : str
            What it is a copy of: short, and in ASCII.
        size : int
            In bytes, the first page included.
        fill : callable, optional
            Writes a new one, by what it is given, and nobody can write to it afterwards. By
            default it is empty, and all may write to it.

        Raises
        ------
        StorageError
            When there is not enough memory.
        """
        with translated("memory"):
            known = _board
            if known is None:
                return cls(_made(key, size, fill), size, is_sealed=fill is not None)
            is_sealed = fill is not None
            with known.locked():
                flags = os.O_RDONLY if is_sealed else os.O_RDWR
                found = known.find(key, flags, _is_copy(key, size, _seals(is_sealed=is_sealed)))
                found = found or _made(key, size, fill)
                known.tell(key, found.number)
            return cls(found, size, is_sealed=is_sealed)

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes, all of them.

        Raises
        ------
        StorageError
            When there is not enough memory.
        """
        with translated("memory"):
            _write(self._number, offset, data)


def _made(key: str, size: int, fill: Callable[[Write], None] | None) -> Descriptor:
    made = Descriptor(_new())
    number = made.number
    os.ftruncate(number, size)
    if fill is not None:
        fill(partial(_write, number))
    _write(number, 0, _label(key))
    fcntl.fcntl(number, fcntl.F_ADD_SEALS, _seals(is_sealed=fill is not None))
    return made


def _is_copy(key: str, size: int, seals: int) -> Callable[[int], bool]:
    label = _label(key)
    return lambda number: (
        fcntl.fcntl(number, fcntl.F_GET_SEALS) & seals == seals
        and os.fstat(number).st_size == size
        and os.pread(number, len(label), 0) == label
    )


def _write(number: int, offset: int, data: bytes) -> None:
    rest = memoryview(data)
    while len(rest):
        done = os.pwrite(number, rest, offset)
        rest, offset = rest[done:], offset + done


class _Mapped(mmap.mmap):
    """A map that keeps a descriptor open; views of it keep the map."""

    descriptor: Descriptor

    @classmethod
    def of(cls, descriptor: Descriptor, size: int, *, is_sealed: bool) -> _Mapped:
        # Older kernels let nobody map a sealed file in the way that could be made writeable. The
        # private way shows the same pages, but need not show what is written to them later.
        kind = mmap.MAP_PRIVATE if is_sealed else mmap.MAP_SHARED
        mapped = cls(descriptor.number, size, flags=kind, prot=mmap.PROT_READ)
        mapped.descriptor = descriptor
        return mapped


def _new() -> int:
    return os.memfd_create("kneighbors", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def _seals(*, is_sealed: bool) -> int:
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
    return seals | fcntl.F_SEAL_WRITE if is_sealed else seals


def _label(key: str) -> bytes:
    return _MAGIC + key.encode() + b"\n"
