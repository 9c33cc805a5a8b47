"""A plane that programs share: it is started for the first of them and ends with the last.

::

    ROOT/programs        held by each program that runs; which plane was started for them
    ROOT/programs.gate   held by the one that comes or goes
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kneighbors.local.process import end_plane, start_plane
from kneighbors.local.root import Settings, running


@contextmanager
def plane_for_program(root: Path) -> Iterator[Settings]:
    """Have a plane for as long as a program runs.

    One that is up is used, and where none is up one is started. What was started so ends with the
    last of the programs that use it, whichever was the first.

    Raises
    ------
    LocalError
        Those of `start_plane` and `end_plane`.
    """
    with _opened(root / "programs") as programs:
        with _alone(root):
            fcntl.flock(programs, fcntl.LOCK_SH)
            settings = running(root)
            if settings is None:
                settings = start_plane(root)
                _note(programs, _identity(root))
        try:
            yield settings
        finally:
            with _alone(root):
                if _is_last(programs) and _noted(programs) == _identity(root):
                    end_plane(root)


def _is_last(programs: int) -> bool:
    """Let go of the programs' file; tell whether nobody else holds it."""
    try:
        fcntl.flock(programs, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _identity(root: Path) -> bytes:
    """Return what tells a plane from those before and after it, whose process ids may be equal."""
    try:
        return b"%d" % (root / "plane.json").stat().st_mtime_ns
    except FileNotFoundError:
        return b"none"


def _note(descriptor: int, text: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text, 0)


def _noted(descriptor: int) -> bytes:
    return os.pread(descriptor, 64, 0)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    with _opened(root / "programs.gate") as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
