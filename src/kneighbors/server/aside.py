"""Doing something in a process of its own, because of what it leaves behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from kneighbors import errors
from kneighbors.errors import KNeighborsError, StorageError


def in_child(work: Callable[[], object]) -> None:
    """Run a function in a child, which ends with it: threads and connections go with the child.

    Parameters
    ----------
    work : callable
        What it returns is lost.

    Raises
    ------
    KNeighborsError
        What it raised, if it is one of ours.
    StorageError
        With code ``storage-failed``, if the child ended in another way.

    Notes
    -----
    Only for a process without other threads.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os._exit(_told(work, writing))
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read()
    _, status = os.waitpid(child, 0)
    if said:
        kind, code, message, where, hint = json.loads(said)
        raise getattr(errors, kind)(code, message, where=where, hint=hint)
    if status:
        raise StorageError("storage-failed", f"A process ended with {status} before its work.")


def _told(work: Callable[[], object], writing: int) -> int:
    try:
        work()
    except KNeighborsError as error:
        fields = (type(error).__name__, error.code, error.message, error.where, error.hint)
        os.write(writing, json.dumps(fields).encode())
        return 0
    except BaseException:
        return 1
    return 0
