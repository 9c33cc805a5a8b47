"""Whether work is so short that handing it to a thread would cost more than it saves.

While the event loop works itself, it answers no ping and notices no time-out, so it does only what
has been short time and again. What takes longer once goes to a thread for a while.
"""

from __future__ import annotations

_TRIALS, _MOST_TRIALS = 8, 1024
_STEP = 1.25
#: What was expected to be short and takes this long is not short, and no chance of a busy machine.
_SURPRISE_S = 0.05
#: Of the time in a thread, this part at least counts: the rest may be waiting for other threads.
_OWN_SHARE = 0.25


class Quickness:
    """How long work of one kind takes, as seen of late.

    Parameters
    ----------
    short_s : float
        Seconds up to which work is short.

    Examples
    --------
    >>> quick = Quickness(0.005)
    >>> for _ in range(8):
    ...     quick.observe_thread(1, 0.001, 0.001)
    >>> quick.is_short(1), quick.is_short(4), quick.is_short(9)
    (True, True, False)
    >>> quick.observe(1, 0.5)
    >>> quick.is_short(1)
    False
    """

    def __init__(self, short_s: float) -> None:
        self._short_s = short_s
        self._unit_s = 0.0
        self._trials = self._probation = _TRIALS

    def is_short(self, units: int) -> bool:
        """Return whether so many units, as of `observe`, can be expected to be short."""
        return not self._trials and units * self._unit_s <= self._short_s

    def observe(self, units: int, seconds: float) -> None:
        """Note how long so many units took that were expected to be short."""
        if seconds > _SURPRISE_S:
            self._probation = min(_MOST_TRIALS, 2 * self._probation)
            self._trials = self._probation
        else:
            self._probation = max(_TRIALS, self._probation - 1)
        self._learn(units, seconds)

    def observe_thread(self, units: int, seconds: float, own_s: float) -> None:
        """Note how long it took in a thread, `own_s` of it on a processor."""
        self._trials = max(0, self._trials - 1)
        self._learn(units, max(own_s, _OWN_SHARE * seconds))

    def _learn(self, units: int, seconds: float) -> None:
        # Half of the times are above what this comes to, by however much: on a busy machine some
        # are far above.
        unit_s = seconds / units
        if not self._unit_s:
            self._unit_s = unit_s
        else:
            self._unit_s *= _STEP if unit_s >= self._unit_s else 1 / _STEP
