"""The nearest rows by bounds that are the scores but for rounding, as of a cosine's plain product.

The k-th largest bound so far, less what two rows may be ordered wrongly by, is a floor: no row need
be scored before all have been bounded, and few are then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.block import Block
from kneighbors.search.metrics import Float64Array
from kneighbors.search.rounding import LOWEST, Float32Array, round_down
from kneighbors.search.rows import RowArray
from kneighbors.search.tally import TALLY
from kneighbors.search.topk import Best, IntArray

if TYPE_CHECKING:
    from kneighbors.search.scan import Scan

#: Rows that are kept for a higher floor before they are scored.
_KEPT = 1 << 20


def nearest_by_bounds(
    scan: Scan, spread: float, n_neighbors: int, limits: Float64Array | None
) -> Best:
    """Return the nearest rows of each query of a scan."""
    lanes = scan.run(lambda: _Lane(scan, spread, n_neighbors, limits))
    # Where a BLAS divides the products among threads there is one lane.
    for lane in lanes:
        lane.score()
        TALLY.scored += lane.n_scored
    return lanes[0].best if lanes else Best(len(scan.prepared), n_neighbors, limits)


class _Lane:
    """The largest bounds so far, and the rows that may be among the nearest."""

    def __init__(
        self, scan: Scan, spread: float, n_neighbors: int, limits: Float64Array | None
    ) -> None:
        self._scan = scan
        self._spread = spread
        n_queries = len(scan.prepared)
        # Bounds are held with their signs changed: the least are the largest.
        self._held = Best(n_queries, n_neighbors)
        self._least: Float32Array = np.full(n_queries, LOWEST)
        if limits is not None:
            self._least = scan.floors(limits)
        self._floors = self._least
        self._kept: list[tuple[IntArray, RowArray, NDArray[Any]]] = []
        self._n_kept = 0
        self.best = Best(n_queries, n_neighbors, limits)
        self.n_scored = 0
        self.reached: IntArray = np.zeros(n_queries, np.int64)

    def take(self, first: int, last: int) -> None:
        """Look at rows `first` to `last`."""
        block = self._scan.bound(first, last)
        if np.isinf(self._held.worst).any():
            self._take_leaders(block, first)
        queries, columns = self._scan.reaching(block, self._floors, self.reached)
        if len(queries):
            self._keep(queries, columns + first, block.take(queries, columns))
        if self._n_kept > _KEPT:
            self.score()

    def _take_leaders(self, block: Block, first: int) -> None:
        """Take the rows with the largest bounds out of them, for a first floor."""
        n_neighbors = self._held.rows.shape[1]
        leaders = block.leaders(n_neighbors, n_neighbors)
        queries = np.repeat(np.arange(len(leaders)), leaders.shape[1])
        columns = leaders.ravel()
        found = block.take(queries, columns)
        block.put(queries, columns, self._scan.sieve.excluded)
        real = np.flatnonzero(found > self._scan.sieve.excluded)
        self._keep(queries[real], columns[real] + first, found[real])

    def _keep(self, queries: IntArray, rows: RowArray, bounds: NDArray[Any]) -> None:
        self._kept.append((queries, rows, bounds))
        self._n_kept += len(rows)
        self._held.merge(queries, -bounds.astype(np.float64), rows)
        floors = round_down(-self._held.worst - self._spread)
        self._floors = np.maximum(np.maximum(floors, self._least), LOWEST)

    def score(self) -> None:
        """Score what is kept and reaches the floors."""
        if not self._kept:
            return
        queries, rows, bounds = (np.concatenate(part) for part in zip(*self._kept, strict=True))
        near = np.flatnonzero(bounds >= self._scan.sieve.thresholds(self._floors)[queries])
        queries, rows = queries[near], rows[near]
        self.best.merge(queries, self._scan.score(queries, rows), rows)
        self.n_scored += len(rows)
        self._kept, self._n_kept = [], 0
