"""Whether queries lie to the corpus as its own rows do.

Some rows of the corpus are searched for as if they were not in it; the distances to their nearest
neighbours, in ten bins with a tenth of them each, are what queries are compared with. Queries that
come from elsewhere, as from another model of language, are farther off, or fall into other bins.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from kneighbors.errors import KNeighborsError
from kneighbors.server.families import BINS, SIDES
from kneighbors.server.spare import SpareTime
from kneighbors.server.telemetry import Telemetry
from kneighbors.server.workpool import Hold

if TYPE_CHECKING:
    from kneighbors.sagemaker.model import Model
    from kneighbors.sagemaker.query import Found, Query

_HELD_OUT = 256
#: Of a corpus with fewer rows there is nothing to be held out.
_LEAST_ROWS = 64
_WINDOW = 1024
#: What is nearer than this part of a usual distance is the row itself, or a copy of it.
_SAME = 1e-6


class Bins:
    """Bins of distances, of which each holds a tenth of the held-out rows.

    Parameters
    ----------
    nearest : ndarray of shape (n_held_out, 2), dtype float64
        Distances of the two nearest other rows of each.
    can_be_same : bool
        Whether the least distance is that of a row to itself; of inner products it is not.
    """

    def __init__(self, nearest: np.ndarray, *, can_be_same: bool) -> None:
        self._same = _SAME * float(np.median(nearest[:, 1])) if can_be_same else -math.inf
        taken = [value for value in map(self._nearest, nearest.tolist()) if value is not None]
        ends = np.quantile(taken, np.arange(1, len(BINS)) / len(BINS)) if taken else np.zeros(0)
        self._ends: list[float] = ends.tolist()
        self.held_out = np.bincount(
            [bisect_left(self._ends, value) for value in taken], minlength=len(BINS)
        ).tolist()

    def place(self, distances: list[float]) -> int | None:
        """Return the bin of a query by the distances of its neighbours, nearest first."""
        value = self._nearest(distances)
        return None if value is None else bisect_left(self._ends, value)

    def _nearest(self, distances: list[float]) -> float | None:
        """Return the least distance to another row; None where there is only the row itself."""
        for value in distances:
            if value > self._same:
                return value
        return None


class Drift:
    """Compares the queries of one worker with held-out rows.

    Parameters
    ----------
    telemetry : Telemetry
    spare : SpareTime
    on_error : callable
        Told what is wrong with the artifact, if the held-out rows find something.

    Notes
    -----
    All methods belong to the event loop's thread.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        spare: SpareTime,
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._telemetry = telemetry
        self._spare = spare
        self._on_error = on_error
        self._bins: Bins | None = None
        self._window = bytearray(_WINDOW)
        self._seen = 0
        self._held: Hold | None = None
        self._turn = object()

    def begin(self, model: Model, hold: Hold) -> None:
        """Measure a model, in spare time, and compare queries from then on.

        `hold` is acquired until that is done, or given up for another model.
        """
        self._bins, self._seen = None, 0
        for side in SIDES:
            for bin_ in BINS:
                self._telemetry.set("nearest_distances", 0.0, (side, bin_))
        self._let_go()
        self._turn = object()
        if model.n_samples >= _LEAST_ROWS:
            hold.acquire()
            self._held = hold
            loop = asyncio.get_running_loop()
            self._spare.take_up(self._measure(model, self._turn, loop))

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None

    def saw(self, query: Query, found: Found) -> None:
        """Take the first query of a request into account."""
        bins = self._bins
        if bins is None or query.radius is not None or query.allowed is not None:
            return
        bin_ = bins.place(found.distances[0][:2].tolist())
        if bin_ is None:
            return
        place = self._seen % _WINDOW
        if self._seen >= _WINDOW:
            self._telemetry.add("nearest_distances", -1.0, ("now", BINS[self._window[place]]))
        self._telemetry.add("nearest_distances", 1.0, ("now", BINS[bin_]))
        self._window[place] = bin_
        self._seen += 1

    def _measure(
        self, model: Model, turn: object, loop: asyncio.AbstractEventLoop
    ) -> Iterator[None]:
        """Search for held-out rows, one a step; in the thread of `spare`."""
        nearest = []
        bins = None
        try:
            for row in np.unique(np.linspace(0, model.n_samples - 1, _HELD_OUT).astype(np.int64)):
                vector = model.index.rows.take(np.array([row]))
                found, _ = model.index.kneighbors(vector, 2, exclude=[np.array([row])])
                nearest.append(found[0])
                yield
            bins = Bins(np.array(nearest), can_be_same=model.metric != "inner_product")
        except (KNeighborsError, OSError) as error:
            self._on_error(error)
        with suppress(RuntimeError):  # the loop is closed: nobody counts any more
            loop.call_soon_threadsafe(self._know, bins, turn)

    def _know(self, bins: Bins | None, turn: object) -> None:
        if turn is not self._turn:  # it is another model's turn by now
            return
        self._let_go()
        self._bins = bins
        if bins is not None:
            for bin_, count in zip(BINS, bins.held_out, strict=True):
                self._telemetry.set("nearest_distances", count, ("held-out", bin_))
