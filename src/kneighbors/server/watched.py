"""What is made of files, and made anew when they change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from kneighbors.errors import KNeighborsError
from kneighbors.server.logs import LOG

T = TypeVar("T")

_LOOK_S = 1.0  # the files' times and sizes are asked for no more often


class Watched(Generic[T]):
    """A value that follows its files.

    What is made of changed files takes the place of what was there before; where it cannot be
    made, the log says why, and what was there stays until they change again.

    Parameters
    ----------
    paths : sequence of str
    make : callable
        Makes the value; raises a `KNeighborsError` where the files are at fault.

    Raises
    ------
    KNeighborsError
        Of `make`, the first time.
    """

    def __init__(self, paths: Sequence[str], make: Callable[[], T]) -> None:
        self._paths = tuple(paths)
        self._make = make
        self._state = self._looked_at()
        self._value = make()
        self._next_s = time.monotonic() + _LOOK_S

    def now(self) -> T:
        """Return the value as the files have it, as of a second ago at most."""
        if self._paths and (at := time.monotonic()) >= self._next_s:
            self._next_s = at + _LOOK_S
            state = self._looked_at()
            if state != self._state:
                self._state = state
                self._read()
        return self._value

    def expire(self) -> None:
        """Let the files be read again when the value is asked for next, changed or not."""
        self._state, self._next_s = None, 0.0

    def _read(self) -> None:
        try:
            self._value = self._make()
        except KNeighborsError as error:
            LOG.error(
                "a changed file is of no use, so what was read before stays: [%s] %s",
                error.code,
                error,
            )
        else:
            LOG.warning("read again: %s", ", ".join(self._paths))

    def _looked_at(self) -> tuple[tuple[int, int, int] | None, ...] | None:
        return tuple(_facts(path) for path in self._paths)


def _facts(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a link that is moved is a change
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
