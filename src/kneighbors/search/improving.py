"""The nearest rows by distances: the best so far are scored, and their distances are the floors.

The rows with the largest bounds give a first floor; every row whose bound reaches the floor is
scored from its original vector, block by block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.metrics import Float64Array
from kneighbors.search.rounding import Float32Array
from kneighbors.search.rows import RowArray
from kneighbors.search.tally import TALLY
from kneighbors.search.topk import Best, IntArray

if TYPE_CHECKING:
    from kneighbors.search.scan import Scan

#: More candidates of one query than this are scored best bound first, so that later ones may drop.
_MANY = 2048


def nearest_by_distances(scan: Scan, n_neighbors: int, limits: Float64Array | None) -> Best:
    """Return the nearest rows of each query of a scan."""
    shared = _Worst(np.full(len(scan.prepared), np.inf))
    lanes = scan.run(lambda: _Lane(scan, Best(len(scan.prepared), n_neighbors, limits), shared))
    if not lanes:
        return Best(len(scan.prepared), n_neighbors, limits)
    best = lanes[0].best
    for lane in lanes[1:]:
        best.take(lane.best)
    TALLY.scored += sum(lane.n_scored for lane in lanes)
    return best


class _Worst:
    """The least of all lanes' k-th best distances: one that misses another's looks at more."""

    def __init__(self, distances: Float64Array) -> None:
        self._distances = distances

    def with_those_of(self, best: Best) -> Float64Array:
        """Return the least, those of one lane included."""
        self._distances = np.minimum(self._distances, best.worst)
        return self._distances


class _Lane:
    """What one thread has found."""

    def __init__(self, scan: Scan, best: Best, worst: _Worst) -> None:
        self._scan = scan
        self._worst = worst
        self.best = best
        self.n_scored = 0
        self.reached: IntArray = np.zeros(len(scan.prepared), np.int64)

    def take(self, first: int, last: int) -> None:
        """Let rows `first` to `last` take their places among the best."""
        scan = self._scan
        block = scan.bound(first, last)
        if np.isinf(self._worst.with_those_of(self.best)).any():
            self._score(*scan.leaders(block, first, self.best.rows.shape[1]))
        queries, rows, upper = scan.refined(block, self._floors(), first, self.reached)
        if len(queries) > _MANY:
            counts = np.bincount(queries, minlength=len(self.best.rows))
            for query in np.flatnonzero(counts > _MANY):
                mine = queries == query
                self._drain(int(query), rows[mine], upper[mine])
            few = counts[queries] <= _MANY
            queries, rows = queries[few], rows[few]
        if len(queries):
            self._score(queries, rows)

    def _floors(self) -> Float32Array:
        return self._scan.floors(self._worst.with_those_of(self.best))

    def _score(self, queries: IntArray, rows: RowArray) -> None:
        self.n_scored += len(rows)
        self.best.merge(queries, self._scan.score(queries, rows), rows)

    def _drain(self, query: int, rows: RowArray, bounds: NDArray[Any]) -> None:
        """Score many candidates of one query, the likeliest first, until none can be better."""
        order = np.argsort(-bounds.astype(np.float64), kind="stable")
        rows, bounds = rows[order], bounds[order]
        start, size = 0, _MANY
        while start < len(rows):
            floor = self._limits(self._floors())[query]
            stop = min(start + size, int(np.searchsorted(-bounds, -floor, side="right")))
            if stop <= start:
                return
            if self._scan.may_give_up and start and stop - start > _MANY:
                self.reached[query] = self._scan.n_samples
                return
            chunk = np.sort(rows[start:stop])
            self._score(np.full(len(chunk), query), chunk)
            start, size = stop, size * 2

    def _limits(self, floors: Float32Array) -> NDArray[Any]:
        """Return the floors in the unit of the bounds that are drained."""
        return self._scan.sieve.thresholds(floors) if self._scan.fine is None else floors
