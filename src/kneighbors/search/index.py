"""The exact index: built from a corpus or opened from its parts; answers batches of queries.

Stages give upper bounds of scores (`staged`), `planner` chooses them, and `scan`
turns bounds into answers: float64 distances of the original vectors, sorted by distance, then row.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.metrics import Float64Array
from kneighbors.search.permitted import Excluded, Masks, Permitted
from kneighbors.search.planner import build_bounds
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import FloatArray, RowArray, Rows
from kneighbors.search.scan import Scan
from kneighbors.search.staged import StagedBounds
from kneighbors.search.topk import IntArray

#: Queries that share a product.
_MOST_QUERIES = 64


class ExactIndex:
    """Exact nearest neighbours of a corpus.

    Built by `build` or opened by `from_parts`; immutable; safe to use from several threads.

    Parameters
    ----------
    rows : Rows
        The original vectors, checked.
    bounds : StagedBounds
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

    #: Whether answers are those of a full scan; a graph's are only nearly so.
    is_exact = True

    def __init__(self, rows: Rows, bounds: StagedBounds, plan: Mapping[str, Any]) -> None:
        self.rows = rows
        self.metric = bounds.metric
        self.plan: dict[str, Any] = dict(plan)
        self.bounds = bounds

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
        """Put together what `parts` and `plan` gave.

        Raises
        ------
        ArtifactError
            With code ``artifact-invalid`` where they do not fit the rows or one another.
        """
        return cls(rows, StagedBounds.from_parts(rows, metric, parts, plan), plan)

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
        return self.bounds.parts()

    def warm_up(self) -> None:
        """Answer one query, so that everything resident has been touched."""
        self.kneighbors(self.rows.take(np.zeros(1, np.int64)), 1)

    def kneighbors(
        self,
        Q: FloatArray,
        n_neighbors: int,
        *,
        exclude: Excluded | None = None,
        masks: Masks | None = None,
        limits: Float64Array | None = None,
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
        masks : sequence of bool arrays of shape (n_samples,) or None, optional
            For each query, where an answer may be; None allows all rows. Queries that share one
            array share the work on it.
        limits : ndarray of shape (n_queries,), dtype float64, optional
            Distances beyond which nothing is looked for: rows farther away may be missing, and
            work is saved.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), dtype float64
        indices : ndarray of shape (n_queries, n_neighbors), dtype int64
            Smaller distance first, then smaller row. Where fewer rows are left than were asked
            for, the last places hold infinity and -1.

        Notes
        -----
        O(n_samples * head_size) operations a query, plus O(n_features) for each row that the bounds
        leave. Each thread keeps up to 32 MiB for bounds; candidates take a few MiB more.
        """
        distances = np.empty((len(Q), n_neighbors))
        indices = np.empty((len(Q), n_neighbors), np.int64)
        permitted = Permitted(self.n_samples, exclude, masks)
        few = permitted.few(n_neighbors)
        for query, rows in few.items():
            best = self._scan(Q, [query], permitted).nearest_of(rows, n_neighbors)
            distances[query], indices[query] = best.distances[0], best.rows[0]
        for batch in _batches(len(Q), few):
            search = self._scan(Q, batch, permitted)
            best = search.nearest(n_neighbors, _of(limits, batch))
            distances[batch], indices[batch] = best.distances, best.rows
            if search.given_up.any():
                again = [query for query, up in zip(batch, search.given_up, strict=True) if up]
                search = self._plainly(Q, again, permitted)
                best = search.nearest(n_neighbors, _of(limits, again))
                distances[again], indices[again] = best.distances, best.rows
        return distances, indices

    def radius_neighbors(
        self,
        Q: FloatArray,
        radius: float,
        *,
        exclude: Excluded | None = None,
        masks: Masks | None = None,
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
        masks : sequence of bool arrays of shape (n_samples,) or None, optional
            For each query, where an answer may be; None allows all rows.

        Returns
        -------
        distances : list of float64 arrays, one a query
        indices : list of int64 arrays, one a query
            Smaller distance first, then smaller row.
        """
        distances: list[Float64Array] = [np.empty(0)] * len(Q)
        indices: list[RowArray] = [np.empty(0, np.int64)] * len(Q)
        permitted = Permitted(self.n_samples, exclude, masks)
        few = permitted.few(1)
        for query, rows in few.items():
            gaps = self._scan(Q, [query], permitted).score(np.zeros(len(rows), np.intp), rows)
            near = np.flatnonzero(gaps <= radius)
            order = near[np.lexsort((rows[near], gaps[near]))]
            distances[query], indices[query] = gaps[order], rows[order]
        for batch in _batches(len(Q), few):
            search = self._scan(Q, batch, permitted)
            found = search.within(radius)
            again = [query for query, up in zip(batch, search.given_up, strict=True) if up]
            for query, near_distances, near_rows in _split(batch, found):
                distances[query], indices[query] = near_distances, near_rows
            if again:
                found = self._plainly(Q, again, permitted).within(radius)
                for query, near_distances, near_rows in _split(again, found):
                    distances[query], indices[query] = near_distances, near_rows
        return distances, indices

    def _scan(self, Q: FloatArray, batch: list[int], permitted: Permitted) -> Scan:
        if len(batch) == len(Q):
            return Scan(self.rows, self.bounds, Q, permitted)
        return Scan(self.rows, self.bounds, Q[batch], permitted.of(batch))

    def _plainly(self, Q: FloatArray, batch: list[int], permitted: Permitted) -> Scan:
        """Return the scan of queries that were given up."""
        bounds = StagedBounds(self.bounds.plain or self.bounds.coarse)
        return Scan(self.rows, bounds, Q[batch], permitted.of(batch))


def _of(limits: Float64Array | None, queries: list[int]) -> Float64Array | None:
    return None if limits is None else limits[queries]


def _batches(n_queries: int, done: Container[int]) -> Iterator[list[int]]:
    """Yield the queries that are not done, as many at a time as share a product."""
    left = [query for query in range(n_queries) if query not in done]
    for start in range(0, len(left), _MOST_QUERIES):
        yield left[start : start + _MOST_QUERIES]


def _split(
    batch: list[int], found: tuple[IntArray, Float64Array, RowArray]
) -> Iterator[tuple[int, Float64Array, RowArray]]:
    """Yield each query of a batch with its share of what was found."""
    owners, distances, rows = found
    ends = np.searchsorted(owners, np.arange(1, len(batch)))
    yield from zip(batch, np.split(distances, ends), np.split(rows, ends), strict=True)
