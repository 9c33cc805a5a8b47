"""The exact index: bounds first, then the few rows they leave, scored from the original vectors.

Every engine gives upper bounds of scores (`head`, `product`); this module turns them into answers.
For each query the rows with the largest bounds are scored exactly; the k-th best distance becomes a
floor; every row whose bound reaches the floor is scored as well. No other row can be an answer, and
what is returned are float64 distances of the original vectors, sorted by distance, then row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.frame import Placed
from kneighbors.search.head import HeadBounds
from kneighbors.search.metrics import METRICS, Float64Array
from kneighbors.search.planner import Bounds, build_bounds
from kneighbors.search.product import ProductBounds
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rounding import LOWEST, Float32Array
from kneighbors.search.rows import FloatArray, RowArray, Rows
from kneighbors.search.topk import Best, Grouped, IntArray, lanes_for

Excluded = Sequence[RowArray]

#: Bounds held at a time: 32 MiB of float32.
_BOUND_ELEMENTS = 1 << 23
_MOST_QUERIES = 64
#: Float64 elements of candidate vectors held at a time: 2 MiB, about what a core's cache holds.
_PAIR_ELEMENTS = 1 << 18
#: Leaders scored for a first floor, a neighbour: twice as many leave half the candidates.
_LEADERS = 2
#: More candidates of one query than this are scored best bound first, so that later ones may drop.
_MANY = 2048


class ExactIndex:
    """Exact nearest neighbours of a corpus.

    Built by `build` or opened by `from_parts`; immutable; safe to use from several threads.

    Parameters
    ----------
    rows : Rows
        The original vectors, checked.
    bounds : HeadBounds or ProductBounds
        Upper bounds of their scores.
    plan : dict
        What was decided at fit, and why.

    Examples
    --------
    >>> import numpy as np
    >>> from kneighbors.search.rows import ArrayRows
    >>> X = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> index = ExactIndex.build(ArrayRows(X), "euclidean")
    >>> distances, indices = index.kneighbors(np.array([[3.0, 4.0]]), 2)
    >>> distances
    array([[0., 5.]])
    >>> indices
    array([[1, 0]])
    """

    def __init__(self, rows: Rows, bounds: Bounds, plan: Mapping[str, Any]) -> None:
        self.rows = rows
        self.metric = bounds.frame.metric
        self.plan: dict[str, Any] = dict(plan)
        self._bounds = bounds
        self._distances = METRICS[self.metric].distances

    @classmethod
    def build(
        cls,
        rows: Rows,
        metric: str,
        *,
        random_state: int = 0,
        progress: Progress = ignore,
    ) -> ExactIndex:
        """Measure the corpus and build the bounds that suit it.

        Parameters
        ----------
        rows : Rows
            The original vectors, having passed the gate.
        metric : str
            ``"cosine"``, ``"euclidean"``, ``"sqeuclidean"`` or ``"inner_product"``.
        random_state : int, default=0
            Seed of the sample that the plan is measured on. The answers do not depend on it.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        ExactIndex

        Notes
        -----
        Reads the corpus twice, in blocks of 16 MiB; O(n_samples * n_features * head_size)
        operations, and 4 * (head_size + 2) bytes of memory a row.
        """
        bounds, plan = build_bounds(rows, metric, random_state, progress)
        return cls(rows, bounds, plan)

    @classmethod
    def from_parts(
        cls,
        rows: Rows,
        metric: str,
        parts: Mapping[str, NDArray[Any]],
        plan: Mapping[str, Any],
    ) -> ExactIndex:
        """Put together what `parts` and `plan` gave."""
        bounds: Bounds
        if plan["engine"] == "head":
            bounds = HeadBounds.from_parts(metric, parts, plan)
        else:
            bounds = ProductBounds.from_parts(metric, rows, parts)
        return cls(rows, bounds, plan)

    @property
    def n_samples(self) -> int:
        """Number of rows of the corpus."""
        return self.rows.shape[0]

    @property
    def n_features(self) -> int:
        """Width of the corpus."""
        return self.rows.shape[1]

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that, with the original vectors and the plan, are the index."""
        return self._bounds.parts()

    def warm_up(self) -> None:
        """Answer one query, so that everything resident has been touched."""
        self.kneighbors(self.rows.take(np.zeros(1, np.int64)), 1)

    def kneighbors(
        self, Q: FloatArray, n_neighbors: int, *, exclude: Excluded | None = None
    ) -> tuple[Float64Array, RowArray]:
        """Return the nearest rows of each query.

        Parameters
        ----------
        Q : ndarray of shape (n_queries, n_features), dtype float32 or float64
            Queries that have passed the gate.
        n_neighbors : int
            From 1 to `n_samples`.
        exclude : sequence of int64 arrays, optional
            For each query, rows that may not be answers.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), dtype float64
        indices : ndarray of shape (n_queries, n_neighbors), dtype int64
            Smaller distance first, then smaller row. Where fewer rows are left than were asked
            for, the last places hold infinity and -1.

        Notes
        -----
        O(n_samples * head_size) operations a query, plus O(n_features) for each row that the bounds
        leave; at most about 100 MiB of memory beside the answers.
        """
        distances = np.empty((len(Q), n_neighbors))
        indices = np.empty((len(Q), n_neighbors), np.int64)
        for start, stop, queries in self._batches(Q):
            best = Best(stop - start, n_neighbors)
            search = _Search(self, queries, None if exclude is None else exclude[start:stop])
            for first, last in search.blocks():
                search.improve(best, first, last)
            distances[start:stop] = best.distances
            indices[start:stop] = best.rows
        return distances, indices

    def radius_neighbors(
        self, Q: FloatArray, radius: float, *, exclude: Excluded | None = None
    ) -> tuple[list[Float64Array], list[RowArray]]:
        """Return all rows within `radius` of each query, the radius included.

        Parameters
        ----------
        Q : ndarray of shape (n_queries, n_features), dtype float32 or float64
            Queries that have passed the gate.
        radius : float
            Largest distance.
        exclude : sequence of int64 arrays, optional
            For each query, rows that may not be answers.

        Returns
        -------
        distances : list of float64 arrays, one a query
        indices : list of int64 arrays, one a query
            Smaller distance first, then smaller row.
        """
        distances: list[Float64Array] = []
        indices: list[RowArray] = []
        for start, stop, queries in self._batches(Q):
            search = _Search(self, queries, None if exclude is None else exclude[start:stop])
            found = [search.within(radius, first, last) for first, last in search.blocks()]
            owners, gaps, rows = (np.concatenate(part) for part in zip(*found, strict=True))
            order = np.lexsort((rows, gaps, owners))
            ends = np.searchsorted(owners[order], np.arange(1, stop - start))
            distances.extend(np.split(gaps[order], ends))
            indices.extend(np.split(rows[order], ends))
        return distances, indices

    def _batches(self, Q: FloatArray) -> list[tuple[int, int, FloatArray]]:
        return [
            (start, min(start + _MOST_QUERIES, len(Q)), Q[start : start + _MOST_QUERIES])
            for start in range(0, len(Q), _MOST_QUERIES)
        ]


class _Search:
    """One batch of queries on its way through the corpus."""

    def __init__(self, index: ExactIndex, Q: FloatArray, exclude: Excluded | None) -> None:
        self.rows = index.rows
        self.n_samples = index.n_samples
        self.bounds = index._bounds
        self.distances = index._distances
        self.exclude = exclude
        self.placed: Placed = self.bounds.frame.place_queries(METRICS[index.metric].prepare(Q))
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
        floors = self.bounds.frame.floors(self.placed, distances, self.bounds.margin)
        floors[self.unbounded] = LOWEST
        return floors

    def upper(self, first: int, last: int, n_neighbors: int) -> Grouped:
        """Bound the scores of rows `first` to `last`."""
        width = last - first
        lanes = lanes_for(width, n_neighbors)
        padded = -(-width // lanes) * lanes
        bounds = np.empty((len(self.coefficients), padded), np.float32)
        bounds[:, width:] = -np.inf
        self.bounds.upper(self.coefficients, first, last, bounds[:, :width])
        if self.exclude is not None:
            for query, rows in enumerate(self.exclude):
                inside = rows[(rows >= first) & (rows < last)]
                bounds[query, inside - first] = -np.inf
        return Grouped(bounds, lanes)

    def improve(self, best: Best, first: int, last: int) -> None:
        """Let rows `first` to `last` take their places among the best."""
        n_neighbors = best.rows.shape[1]
        grouped = self.upper(first, last, n_neighbors)
        if np.isinf(best.worst).any():
            leaders = grouped.leaders(_LEADERS * n_neighbors)
            queries = np.repeat(np.arange(len(leaders)), leaders.shape[1])
            columns = leaders.ravel()
            real = grouped.bounds[queries, columns] > -np.inf
            queries, columns = queries[real], columns[real]
            # Scored once: out of the bounds with them.
            grouped.bounds[queries, columns] = -np.inf
            rows = columns + first
            best.merge(queries, self.score(queries, rows), rows)
        queries, columns = grouped.reaching(self.floors(best.worst))
        counts = np.bincount(queries, minlength=len(best.rows))
        many = counts > _MANY
        few = ~many[queries]
        rows = columns[few] + first
        best.merge(queries[few], self.score(queries[few], rows), rows)
        for query in np.flatnonzero(many):
            mine = columns[queries == query]
            self._drain(best, int(query), mine + first, grouped.bounds[query, mine])

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
