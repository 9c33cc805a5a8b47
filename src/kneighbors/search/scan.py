"""The scan: from bounds to answers, for one batch of queries.

The rows with the largest bounds give a first floor; every row whose bound reaches the floor is
scored from its original vector; the best of them are the answer.
"""

from __future__ import annotations

import threading

import numpy as np

from kneighbors.search.frame import Placed
from kneighbors.search.head import HeadBounds
from kneighbors.search.metrics import METRICS, Float64Array
from kneighbors.search.permitted import Permitted
from kneighbors.search.product import ProductBounds
from kneighbors.search.rounding import LOWEST, Float32Array, round_down
from kneighbors.search.rows import FloatArray, RowArray, Rows
from kneighbors.search.topk import Best, Grouped, IntArray, lanes_for

Bounds = HeadBounds | ProductBounds

#: Bounds held at a time: 32 MiB of float32.
_BOUND_ELEMENTS = 1 << 23
#: Float64 elements of candidate vectors held at a time: 2 MiB, about what a core's cache holds.
_PAIR_ELEMENTS = 1 << 18
#: Leaders scored for a first floor, a neighbour: twice as many leave half the candidates.
_LEADERS = 2
#: More candidates of one query than this are scored best bound first, so that later ones may drop.
_MANY = 2048


class _Scratch(threading.local):
    """Memory for bounds that each thread keeps: getting it anew costs as much as filling it."""

    def __init__(self) -> None:
        self.buffer = np.empty(0, np.float32)

    def matrix(self, n_rows: int, n_columns: int) -> Float32Array:
        if self.buffer.size < n_rows * n_columns:
            self.buffer = np.empty(n_rows * n_columns, np.float32)
        return self.buffer[: n_rows * n_columns].reshape(n_rows, n_columns)


_scratch = _Scratch()


class Scan:
    """One batch of queries on its way through the corpus.

    Parameters
    ----------
    rows : Rows
        The original vectors.
    bounds : HeadBounds or ProductBounds
        Upper bounds of their scores.
    Q : ndarray of shape (n_queries, n_features)
        Queries that have passed the gate.
    permitted : Permitted
        For each query, the rows that may be answers.
    """

    def __init__(self, rows: Rows, bounds: Bounds, Q: FloatArray, permitted: Permitted) -> None:
        self.rows = rows
        self.n_samples = rows.shape[0]
        self.bounds = bounds
        self.permitted = permitted
        metric = METRICS[bounds.frame.metric]
        self.distances = metric.distances
        self.placed: Placed = bounds.frame.place_queries(metric.prepare(Q))
        self.coefficients = self.bounds.coefficients(self.placed)
        self.unbounded = ~np.isfinite(self.coefficients).all(axis=1)
        self.coefficients[self.unbounded] = 0

    def blocks(self) -> list[tuple[int, int]]:
        """Return the bounds of the blocks of rows that are looked at together."""
        step = max(1, _BOUND_ELEMENTS // len(self.placed.Q))
        return [
            (start, min(start + step, self.n_samples)) for start in range(0, self.n_samples, step)
        ]

    def floors(self, distances: Float64Array) -> Float32Array:
        """Return the least scores of rows at most so far away from each query."""
        floors = self.bounds.frame.floors(self.placed, distances, self.bounds.margin)
        floors[self.unbounded] = LOWEST
        return floors

    def upper(self, first: int, last: int, n_neighbors: int) -> Grouped:
        """Bound the scores of rows `first` to `last`."""
        width = last - first
        lanes = lanes_for(width, n_neighbors)
        padded = -(-width // lanes) * lanes
        bounds = _scratch.matrix(len(self.coefficients), padded)
        bounds[:, width:] = -np.inf
        self.bounds.upper(self.coefficients, first, last, bounds[:, :width])
        self.permitted.hide(bounds, first, last, -np.inf)
        return Grouped(bounds, lanes)

    def improve(self, best: Best, first: int, last: int) -> None:
        """Let rows `first` to `last` take their places among the best."""
        n_neighbors = best.rows.shape[1]
        grouped = self.upper(first, last, n_neighbors)
        if not np.isinf(best.worst).any():
            floors = self.floors(best.worst)
        elif self.bounds.spread is not None:
            leading = grouped.leading_bounds(n_neighbors)
            floors = np.maximum(round_down(leading - self.bounds.spread), LOWEST)
        else:
            self._score_leaders(best, grouped, first)
            floors = self.floors(best.worst)
        queries, columns = grouped.reaching(floors)
        if len(queries) > _MANY:
            counts = np.bincount(queries, minlength=len(best.rows))
            for query in np.flatnonzero(counts > _MANY):
                mine = columns[queries == query]
                self._drain(best, int(query), mine + first, grouped.bounds[query, mine])
            few = counts[queries] <= _MANY
            queries, columns = queries[few], columns[few]
        if len(queries):
            rows = columns + first
            best.merge(queries, self.score(queries, rows), rows)

    def _score_leaders(self, best: Best, grouped: Grouped, first: int) -> None:
        """Score the rows with the largest bounds, for a first floor."""
        leaders = grouped.leaders(_LEADERS * best.rows.shape[1])
        queries = np.repeat(np.arange(len(leaders)), leaders.shape[1])
        columns = leaders.ravel()
        real = grouped.bounds[queries, columns] > -np.inf
        queries, columns = queries[real], columns[real]
        # Scored once: out of the bounds with them.
        grouped.bounds[queries, columns] = -np.inf
        rows = columns + first
        best.merge(queries, self.score(queries, rows), rows)

    def _drain(self, best: Best, query: int, rows: RowArray, bounds: Float32Array) -> None:
        """Score many candidates of one query, the likeliest first, until none can be better."""
        order = np.argsort(-bounds, kind="stable")
        rows, bounds = rows[order], bounds[order]
        start, size = 0, _MANY
        while start < len(rows):
            floor = self.floors(best.worst)[query]
            stop = min(start + size, int(np.searchsorted(-bounds, -floor, side="right")))
            if stop <= start:
                return
            queries = np.full(stop - start, query)
            best.merge(queries, self.score(queries, rows[start:stop]), rows[start:stop])
            start, size = stop, size * 2

    def score_listed(self, best: Best, rows: RowArray) -> None:
        """Let the given rows, all that the only query may have, take their places."""
        queries = np.zeros(len(rows), np.intp)
        best.merge(queries, self.score(queries, rows), rows)

    def within(
        self, radius: float, first: int, last: int
    ) -> tuple[IntArray, Float64Array, RowArray]:
        """Return the pairs (query, distance, row) of rows `first` to `last` within `radius`."""
        grouped = self.upper(first, last, 1)
        queries, columns = grouped.reaching(self.floors(np.full(len(self.placed.Q), radius)))
        rows = columns + first
        distances = self.score(queries, rows)
        near = distances <= radius
        return queries[near], distances[near], rows[near]

    def score(self, queries: IntArray, rows: RowArray) -> Float64Array:
        """Return the distances of pairs of a query and a row, from the original vectors."""
        step = max(1, _PAIR_ELEMENTS // self.placed.Q.shape[1])
        if len(rows) <= step:
            return self.distances(self.rows.take(rows), self.placed.Q[queries])
        out = np.empty(len(rows))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            out[part] = self.distances(self.rows.take(rows[part]), self.placed.Q[queries[part]])
        return out
