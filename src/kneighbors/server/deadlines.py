"""Time that a client gets: a timer that can be moved, and the pace that transfers must keep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timer:
    """At most one call in the future.

    Parameters
    ----------
    loop : AbstractEventLoop
    """

    __slots__ = ("_handle", "_loop", "callback")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self.callback: Callable[[], None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a call is due."""
        return self._handle is not None

    def start(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call something later, in place of what was due."""
        self.stop()
        self.callback = callback
        self._handle = self._loop.call_later(max(0.0, seconds), self._fire)

    def stop(self) -> None:
        """Call nothing."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self.callback = None

    def _fire(self) -> None:
        callback, self._handle, self.callback = self.callback, None, None
        if callback is not None:
            callback()


class Pace:
    """A transfer that may take some seconds, and one more for each so many bytes.

    Parameters
    ----------
    begin_s : float
        When it began, by the loop's clock.
    grace_s : float
        Seconds that it may take in any case.
    rate : float
        Bytes that earn another second.

    Examples
    --------
    >>> pace = Pace(100.0, 10.0, 16_384)
    >>> pace.count = 32_768
    >>> pace.left_s(now=105.0)
    7.0
    """

    __slots__ = ("_begin_s", "_grace_s", "_rate", "count")

    def __init__(self, begin_s: float, grace_s: float, rate: float) -> None:
        self._begin_s = begin_s
        self._grace_s = grace_s
        self._rate = rate
        self.count = 0

    def left_s(self, now: float) -> float:
        """Return the seconds that are left."""
        return self._begin_s + self._grace_s + self.count / self._rate - now
