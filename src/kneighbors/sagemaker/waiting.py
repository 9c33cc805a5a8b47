"""Waiting for what AWS does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kneighbors.errors import ServiceError
from kneighbors.search.progress import Progress

#: Seconds between two looks: few at first, since a local endpoint is there in a few seconds.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _GROWTH = 0.25, 10.0, 1.3


@contextmanager
def remarked(remark: str) -> Iterator[None]:
    """Add a remark to what interrupts a piece of work, about what AWS goes on with."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note(remark)
        raise


def wait(
    describe: Callable[[], dict[str, Any]],
    status_of: Callable[[dict[str, Any]], str],
    done: Callable[[str], bool],
    *,
    timeout_s: float,
    what: str,
    progress: Progress,
) -> dict[str, Any]:
    """Ask again and again until a status is reached.

    Parameters
    ----------
    describe : callable
        Returns the description.
    status_of : callable
        Returns the status that a description holds.
    done : callable
        Tells whether a status is a last one.
    timeout_s : float
        How long to wait, in seconds.
    what : str
        For messages: ``"the endpoint wines"``.
    progress : callable
        Called as ``progress(status, seconds, timeout)``, in whole seconds.

    Returns
    -------
    dict
        The last description.

    Raises
    ------
    ServiceError
        With code ``wait-timeout``.
    """
    began, pause = time.monotonic(), _FIRST_PAUSE_S
    while True:
        description = describe()
        status = status_of(description)
        waited = time.monotonic() - began
        progress(status, min(int(waited), int(timeout_s)), max(1, int(timeout_s)))
        if done(status):
            return description
        if waited >= timeout_s:
            raise ServiceError(
                "wait-timeout",
                f"Expected {what} to be ready within {timeout_s:g} s, got the status {status}.",
                hint="It goes on; look at it later, or delete it.",
            )
        time.sleep(min(pause, timeout_s - waited))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE_S)
