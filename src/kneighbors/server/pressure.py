"""How late one worker's event loop is, and whether it had better take no more work.

The queue behind the loop is bounded, but what comes before it is not: where requests arrive faster
than they can be read, they wait in the sockets, and a ping with them. So a loop that stays late
answers what it finds in its round for a moment, and refuses the rest of the round at once, which
costs a fraction; so the next round is short again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sized

_BEAT_S = 0.01
_IDLE_S = 0.25  # between beats while nothing is in flight, so that an idle server sleeps
_LATE_S = 0.05  # of a round, that is spent on answering where others wait
_ROUNDS = 2  # in sequence that have to be late; a single one may have been stopped by the system
#: Requests in flight at least that it takes: with fewer, something else makes the loop late.
_BUSY = 32


class Pressure:
    """Measures the loop that it is started in.

    Parameters
    ----------
    in_flight : Sized
        The requests that are being answered.
    room : int
        How many of them may wait: below that, none is refused.
    """

    def __init__(self, in_flight: Sized, room: int = 0) -> None:
        self._in_flight = in_flight
        self._busy = max(_BUSY, room)
        self._beat_at = 0.0
        self._interval_s = _BEAT_S
        self._late_rounds = 0

    def start(self) -> None:
        """Begin; called in the loop."""
        self._beat_at = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(_BEAT_S, self._beat)

    def _beat(self) -> None:
        # Not by the loop's clock, which stands still within a round.
        now = time.monotonic()
        is_late = now - self._beat_at > self._interval_s + _LATE_S
        self._late_rounds = self._late_rounds + 1 if is_late else 0
        self._beat_at = now
        self._interval_s = _BEAT_S if len(self._in_flight) else _IDLE_S
        self._loop.call_later(self._interval_s, self._beat)

    @property
    def is_late(self) -> bool:
        """Whether the last round was long."""
        return self._late_rounds > 0

    @property
    def is_high(self) -> bool:
        """Whether a request that has just been read had better be refused."""
        return (
            self._late_rounds >= _ROUNDS
            and len(self._in_flight) >= self._busy
            and time.monotonic() - self._beat_at > _LATE_S
        )
