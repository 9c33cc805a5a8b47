"""The scan: from bounds to answers, for one batch of queries.

The rows with the largest bounds give a first floor; every row whose bound reaches the floor is
scored from its original vector; the best of them are the answer. Where bounds are made in stages,
only what passes the coarse one is looked at by the finer one, and the floor is carried from block
to block.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.fine import FineBounds
from kneighbors.search.metrics import METRICS, Float64Array
from kneighbors.search.permitted import BoolArray, Permitted
from kneighbors.search.rounding import Float32Array, round_down
from kneighbors.search.rows import FloatArray, RowArray, Rows
from kneighbors.search.sieve import Sieve
from kneighbors.search.staged import StagedBounds
from kneighbors.search.tally import TALLY
from kneighbors.search.topk import Best, Grouped, IntArray, lanes_for

#: Float64 elements of candidate vectors held at a time: 2 MiB, about what a core's cache holds.
_PAIR_ELEMENTS = 1 << 18
#: Leaders scored for a first floor, a neighbour: twice as many leave half the candidates.
_LEADERS = 2
#: Leaders of a coarse bound, a neighbour, of which a finer one chooses those that are scored.
_COARSE_LEADERS = 8
#: More candidates of one query than this are scored best bound first, so that later ones may drop.
_MANY = 2048
#: Candidates that wait for a higher floor before they are scored.
_KEPT = 1 << 20
#: Where a block leaves more than one row of so many, its coarse bounds are no use to the query.
_USELESS_SHARE = 16


class _Scratch(threading.local):
    """Memory for bounds that each thread keeps: getting it anew costs as much as filling it."""

    def __init__(self) -> None:
        self.buffer = np.empty(0, np.int32)

    def matrix(self, n_rows: int, n_columns: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return room for a matrix of 32-bit numbers."""
        if self.buffer.size < n_rows * n_columns:
            self.buffer = np.empty(n_rows * n_columns, np.int32)
        return self.buffer[: n_rows * n_columns].view(dtype).reshape(n_rows, n_columns)


_scratch = _Scratch()


class Scan:
    """One batch of queries on its way through the corpus.

    Parameters
    ----------
    rows : Rows
        The original vectors.
    bounds : StagedBounds
        Upper bounds of their scores.
    Q : ndarray of shape (n_queries, n_features)
        Queries that have passed the gate.
    permitted : Permitted
        For each query, the rows that may be answers.

    Attributes
    ----------
    given_up : ndarray of shape (n_queries,), dtype bool
        Queries of which the bounds rule out too few rows: what was found for them is not their
        answer, which plain products give sooner. None where these are the bounds already.
    """

    def __init__(
        self, rows: Rows, bounds: StagedBounds, Q: FloatArray, permitted: Permitted
    ) -> None:
        self.rows = rows
        self.n_samples = rows.shape[0]
        self.permitted = permitted
        metric = METRICS[bounds.metric]
        self.distances = metric.distances
        self.prepared = metric.prepare(Q)
        self.sieve: Sieve = bounds.sieve(self.prepared)
        self.given_up: BoolArray = np.zeros(len(Q), bool)
        self._may_give_up = bounds.plain is not None
        self._fine: FineBounds | None = None
        # A plain product has a frame of its own, and nothing finer is to be had.
        if bounds.fine is not None and bounds.fine.frame is self.sieve.frame:
            self._fine_coefficients = bounds.fine.coefficients(self.sieve.placed)
            if np.isfinite(self._fine_coefficients).all():
                self._fine = bounds.fine

    def nearest(self, n_neighbors: int, limits: Float64Array | None = None) -> Best:
        """Return the nearest rows of each query; those beyond its limit may be missing."""
        best = Best(len(self.prepared), n_neighbors, limits)
        if self.sieve.spread is not None:
            self._take_leading(best, self.sieve.spread)
            return best
        for first, last in self.sieve.blocks():
            self._improve(best, first, last)
        return best

    def _take_leading(self, best: Best, spread: float) -> None:
        """Find the best rows by bounds that are the scores but for rounding.

        The k-th largest bound so far, less what two rows may be ordered wrongly by, is a floor: no
        row need be scored before all have been bounded.
        """
        n_neighbors = best.rows.shape[1]
        held = np.full(best.rows.shape, -np.inf, np.float32)
        kept: list[tuple[IntArray, RowArray, NDArray[Any]]] = []
        n_kept = 0
        for first, last in self.sieve.blocks():
            grouped = self._bound(first, last, n_neighbors)
            held = np.concatenate([held, grouped.leading(n_neighbors)], axis=1)
            held = np.partition(held, held.shape[1] - n_neighbors, axis=1)[:, -n_neighbors:]
            floors = np.maximum(round_down(held.min(axis=1) - spread), self._floors(best.worst))
            kept.append(self._reaching(grouped, floors, first))
            n_kept += len(kept[-1][0])
            if n_kept > _KEPT or last == self.n_samples:
                queries, rows, bounds = (np.concatenate(part) for part in zip(*kept, strict=True))
                near = np.flatnonzero(bounds >= self.sieve.thresholds(floors)[queries])
                queries, rows = queries[near], rows[near]
                best.merge(queries, self.score(queries, rows), rows)
                kept, n_kept = [], 0

    def nearest_of(self, rows: RowArray, n_neighbors: int) -> Best:
        """Return the nearest of the given rows, which are all that the only query may have."""
        best = Best(1, n_neighbors)
        queries = np.zeros(len(rows), np.intp)
        best.merge(queries, self.score(queries, rows), rows)
        return best

    def within(self, radius: float) -> tuple[IntArray, Float64Array, RowArray]:
        """Return all pairs (query, distance, row) within `radius`, by query, distance and row."""
        floors = self._floors(np.full(len(self.prepared), radius))
        found = [self._within(radius, floors, *block) for block in self.sieve.blocks()]
        queries, distances, rows = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((rows, distances, queries))
        return queries[order], distances[order], rows[order]

    def score(self, queries: IntArray, rows: RowArray) -> Float64Array:
        """Return the distances of pairs of a query and a row, from the original vectors."""
        TALLY.scored += len(rows)
        step = max(1, _PAIR_ELEMENTS // self.prepared.shape[1])
        if len(rows) <= step:
            return self.distances(self.rows.take(rows), self._of(queries))
        out = np.empty(len(rows))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            out[part] = self.distances(self.rows.take(rows[part]), self._of(queries[part]))
        return out

    def _of(self, queries: IntArray) -> Float64Array:
        return self.prepared if len(self.prepared) == 1 else self.prepared[queries]

    def _floors(self, distances: Float64Array) -> Float32Array:
        """Return the least scores of rows at most so far away from each query."""
        sieve = self.sieve
        return sieve.frame.floors(sieve.placed, distances, sieve.margin)

    def _bound(self, first: int, last: int, n_neighbors: int) -> Grouped:
        """Bound the scores of rows `first` to `last`."""
        width = last - first
        lanes = lanes_for(width, n_neighbors)
        padded = -(-width // lanes) * lanes
        sieve = self.sieve
        bounds = _scratch.matrix(len(self.prepared), padded, sieve.dtype)
        if padded > width:
            bounds[:, width:] = sieve.excluded
        sieve.fill(first, last, bounds[:, :width])
        self.permitted.hide(bounds, first, last, sieve.excluded)
        return Grouped(bounds, lanes)

    def _improve(self, best: Best, first: int, last: int) -> None:
        """Let rows `first` to `last` take their places among the best."""
        n_neighbors = best.rows.shape[1]
        grouped = self._bound(first, last, n_neighbors)
        if not np.isinf(best.worst).any():
            floors = self._floors(best.worst)
        else:
            self._score_leaders(best, grouped, first)
            floors = self._floors(best.worst)
        queries, rows, bounds = self._reaching(grouped, floors, first)
        if len(queries) > _MANY:
            counts = np.bincount(queries, minlength=len(best.rows))
            for query in np.flatnonzero(counts > _MANY):
                mine = queries == query
                self._drain(best, int(query), rows[mine], bounds[mine])
            few = counts[queries] <= _MANY
            queries, rows = queries[few], rows[few]
        if len(queries):
            best.merge(queries, self.score(queries, rows), rows)

    def _reaching(
        self, grouped: Grouped, floors: Float32Array, first: int
    ) -> tuple[IntArray, RowArray, NDArray[Any]]:
        """Return the pairs (query, row, bound) whose bounds, of all stages, reach the floors."""
        thresholds = self.sieve.thresholds(floors)
        queries, groups = grouped.groups_reaching(thresholds)
        queries, columns = grouped.columns_reaching(thresholds, queries, groups)
        if self._may_give_up and len(queries) * _USELESS_SHARE > grouped.bounds.shape[1]:
            counts = np.bincount(queries, minlength=len(floors))
            self.given_up |= counts * _USELESS_SHARE > grouped.bounds.shape[1]
            left = ~self.given_up[queries]
            queries, columns = queries[left], columns[left]
        if self._fine is None:
            return queries, columns + first, grouped.bounds[queries, columns]
        rows = columns + first
        bounds = self._fine.upper(self._fine_coefficients, queries, rows)
        near = np.flatnonzero(bounds >= floors[queries])
        return queries[near], rows[near], bounds[near]

    def _score_leaders(self, best: Best, grouped: Grouped, first: int) -> None:
        """Score the rows with the largest bounds, for a first floor."""
        wanted = _LEADERS * best.rows.shape[1]
        if self._fine is None:
            leaders = grouped.leaders(wanted)
        else:
            leaders = grouped.leaders(_COARSE_LEADERS * best.rows.shape[1])
            if leaders.shape[1] > wanted:
                leaders = self._best_of(self._fine, leaders, wanted, first)
        queries = np.repeat(np.arange(len(leaders)), leaders.shape[1])
        columns = leaders.ravel()
        real = grouped.bounds[queries, columns] > self.sieve.excluded
        queries, columns = queries[real], columns[real]
        # Scored once: out of the bounds with them.
        grouped.bounds[queries, columns] = self.sieve.excluded
        rows = columns + first
        best.merge(queries, self.score(queries, rows), rows)

    def _best_of(self, fine: FineBounds, leaders: RowArray, wanted: int, first: int) -> RowArray:
        """Return for each query the leaders that a finer bound finds best."""
        queries = np.repeat(np.arange(len(leaders)), leaders.shape[1])
        # Padding is no row, and will be left out.
        rows = np.minimum(leaders.ravel() + first, self.n_samples - 1)
        bounds = fine.upper(self._fine_coefficients, queries, rows).reshape(leaders.shape)
        order = np.argpartition(bounds, leaders.shape[1] - wanted, axis=1)[:, -wanted:]
        return np.take_along_axis(leaders, order, axis=1)

    def _drain(self, best: Best, query: int, rows: RowArray, bounds: NDArray[Any]) -> None:
        """Score many candidates of one query, the likeliest first, until none can be better."""
        order = np.argsort(-bounds.astype(np.float64), kind="stable")
        rows, bounds = rows[order], bounds[order]
        start, size = 0, _MANY
        while start < len(rows):
            floor = self._limits(self._floors(best.worst))[query]
            stop = min(start + size, int(np.searchsorted(-bounds, -floor, side="right")))
            if stop <= start:
                return
            if self._may_give_up and start and stop - start > _MANY:
                self.given_up[query] = True
                return
            chunk = np.sort(rows[start:stop])
            queries = np.full(len(chunk), query)
            best.merge(queries, self.score(queries, chunk), chunk)
            start, size = stop, size * 2

    def _limits(self, floors: Float32Array) -> NDArray[Any]:
        """Return the floors in the unit of the bounds that `_reaching` gives."""
        return self.sieve.thresholds(floors) if self._fine is None else floors

    def _within(
        self, radius: float, floors: Float32Array, first: int, last: int
    ) -> tuple[IntArray, Float64Array, RowArray]:
        queries, rows, _ = self._reaching(self._bound(first, last, 1), floors, first)
        distances = self.score(queries, rows)
        near = np.flatnonzero(distances <= radius)
        return queries[near], distances[near], rows[near]
