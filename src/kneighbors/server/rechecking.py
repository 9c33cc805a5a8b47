"""Whether approximate answers are good: a few of them are searched for again, exactly.

This is done in spare time, and what there is none for is dropped: a busy server checks fewer
answers, but no request waits for a check.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kneighbors.errors import KNeighborsError
from kneighbors.server.families import WINDOW
from kneighbors.server.spare import SpareTime
from kneighbors.server.telemetry import Telemetry
from kneighbors.server.workpool import Hold

if TYPE_CHECKING:
    from kneighbors.recommend.query import Float64Array, RowArray
    from kneighbors.sagemaker.model import Model
    from kneighbors.sagemaker.query import Found, Query
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.permitted import BoolArray
    from kneighbors.search.rows import FloatArray

_WINDOW = 512
#: Two sums of the same products may differ by so much: a tie is no loss.
_ROUNDING = 1e-9


class Answer(NamedTuple):
    """One query, and the distances that were answered."""

    searched: ExactIndex
    vector: FloatArray
    exclude: RowArray | None
    mask: BoolArray | None
    distances: Float64Array

    def check(self) -> tuple[int, int]:
        """Return how many of the nearest neighbours were found, and how many there are."""
        distances, rows = self.searched.kneighbors(
            self.vector,
            len(self.distances),
            exclude=None if self.exclude is None else [self.exclude],
            masks=None if self.mask is None else [self.mask],
        )
        nearest = distances[0][rows[0] >= 0]
        if not len(nearest):
            return 0, 0
        last = nearest[-1] + _ROUNDING * abs(nearest[-1])
        return min(len(nearest), int(np.count_nonzero(self.distances <= last))), len(nearest)


class Rechecks:
    """Samples the approximate answers of one worker, and keeps count.

    Parameters
    ----------
    telemetry : Telemetry
    spare : SpareTime
    share : float
        Of the answers, from 0 to 1.
    on_error : callable
        Told what is wrong with the artifact, if a check finds something.

    Notes
    -----
    `forget` and `saw` belong to the event loop's thread, the counts to that of `spare`.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        spare: SpareTime,
        share: float,
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._telemetry = telemetry
        self._spare = spare
        self._share = share
        self._on_error = on_error
        self._window: deque[tuple[int, int]] = deque(maxlen=_WINDOW)

    def forget(self) -> None:
        """Begin anew: another model answers."""
        self._window = deque(maxlen=_WINDOW)
        for part in WINDOW:
            self._telemetry.set("recheck_window", 0.0, (part,))

    def saw(self, model: Model, query: Query, found: Found, hold: Hold) -> None:
        """Check one of a request's answers later on, if it is its turn.

        `hold` is acquired until then.
        """
        if random.random() >= self._share:  # noqa: S311 - no secret
            return
        answer = _one_of(model, query, found)
        if answer is None:
            return
        window, loop = self._window, asyncio.get_running_loop()

        def work() -> None:
            try:
                self._check(answer, window)
            finally:
                with suppress(RuntimeError):  # the loop is closed: nobody counts any more
                    loop.call_soon_threadsafe(hold.release)

        hold.acquire()
        if not self._spare.offer(work):
            hold.release()
            self._telemetry.add("kneighbors_rechecks_total", 1.0, ("dropped",))

    def _check(self, answer: Answer, window: deque[tuple[int, int]]) -> None:
        try:
            found, wanted = answer.check()
        except (KNeighborsError, OSError) as error:
            self._telemetry.add("kneighbors_rechecks_total", 1.0, ("failed",))
            self._on_error(error)
            return
        self._telemetry.add("kneighbors_rechecks_total", 1.0, ("done",))
        self._telemetry.add("kneighbors_recheck_found_total", found)
        self._telemetry.add("kneighbors_recheck_wanted_total", wanted)
        window.append((found, wanted))
        if window is self._window:  # else the model is another one by now
            sums = (*(float(sum(part)) for part in zip(*window, strict=True)), float(len(window)))
            for part, value in zip(WINDOW, sums, strict=True):
                self._telemetry.set("recheck_window", value, (part,))


def _one_of(model: Model, query: Query, found: Found) -> Answer | None:
    """Return any one query of a request with its answer; None where they are not comparable."""
    exact = getattr(model.index, "exact", None)
    if exact is None or query.radius is not None or not isinstance(found.distances, np.ndarray):
        return None
    place = random.randrange(len(query))  # noqa: S311 - no secret
    return Answer(
        exact,
        query.vectors[place : place + 1].copy(),  # not the whole body, of which it is a view
        None if query.exclude is None else query.exclude[place],
        None if query.allowed is None else query.allowed.mask,
        found.distances[place],
    )
