"""Who holds which copy of an artifact in memory: a list that a family of processes shares.

It is a little file in memory that all have inherited (see `kneighbors.artifact.memfile`). A copy is
found by way of ``/proc``, in the process that holds it; what is found there says itself whether it
is what was looked for.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kneighbors.artifact.directory import Descriptor

#: Longest text: more than a hundred copies. What finds no place is not shared.
_MOST_BYTES = 1 << 14


class Board:
    """The list.

    Notes
    -----
    Locked by `fcntl.lockf`, which the kernel lets go of when a process ends, however it ends.
    """

    def __init__(self) -> None:
        self._number = os.memfd_create("kneighbors-board", os.MFD_CLOEXEC)
        self._thread = threading.Lock()
        # A fork may have copied it while another thread held it.
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._thread = threading.Lock()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one, of all threads and processes."""
        with self._thread:
            fcntl.lockf(self._number, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._number, fcntl.LOCK_UN)

    def find(self, key: str, flags: int, is_it: Callable[[int], bool]) -> Descriptor | None:
        """Return a copy that some process holds, opened anew; None where there is none.

        Parameters
        ----------
        key : str
        flags : int
            To open it with.
        is_it : callable
            Tells of a descriptor whether it is that copy: the process may have ended, and its
            number belong to something else.
        """
        for process, number in self._read().get(key, []):
            found = _opened(process, number, flags)
            if found is not None and _holds(is_it, found):
                return found
        return None

    def tell(self, key: str, number: int) -> None:
        """Say that this process holds a copy, and forget processes that have ended."""
        holders = self._read()
        holders.setdefault(key, []).append([os.getpid(), number])
        alive = {
            key: [one for one in found if _opened(one[0], one[1], os.O_RDONLY) is not None]
            for key, found in holders.items()
        }
        text = json.dumps({key: found for key, found in alive.items() if found}).encode()
        if len(text) <= _MOST_BYTES:
            os.pwrite(self._number, text.ljust(_MOST_BYTES), 0)

    def _read(self) -> dict[str, list[list[int]]]:
        data = os.pread(self._number, _MOST_BYTES, 0)
        found: dict[str, list[list[int]]] = json.loads(data) if data else {}
        return found


def _opened(process: int, number: int, flags: int) -> Descriptor | None:
    with suppress(OSError):
        path = f"/proc/{process}/fd/{number}"
        # Without O_NONBLOCK, a pipe that has the number now would be waited for.
        return Descriptor(os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK))
    return None


def _holds(is_it: Callable[[int], bool], found: Descriptor) -> bool:
    try:
        return is_it(found.number)
    except OSError:
        return False
