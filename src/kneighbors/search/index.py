"""The exact index: built from a corpus or opened from its parts; answers batches of queries.

Every engine gives upper bounds of scores (`head`, `product`), `planner` chooses one, and `scan`
turns bounds into answers: float64 distances of the original vectors, sorted by distance, then row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArtifactError
from kneighbors.search.head import HeadBounds
from kneighbors.search.metrics import Float64Array
from kneighbors.search.planner import build_bounds
from kneighbors.search.product import ProductBounds
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import FloatArray, RowArray, Rows
from kneighbors.search.scan import Bounds, Excluded, Scan
from kneighbors.search.topk import Best

#: Queries that share a product.
_MOST_QUERIES = 64


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
        opened: Bounds
        if plan.get("engine") == "head":
            opened = HeadBounds.from_parts(rows, metric, parts, plan)
        elif plan.get("engine") == "product":
            opened = ProductBounds.from_parts(rows, metric, parts)
        else:
            raise ArtifactError(
                "artifact-invalid",
                f"Expected a plan for the engine 'head' or 'product', got {plan.get('engine')!r}.",
            )
        return cls(rows, opened, plan)

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
        leave. Each thread keeps up to 32 MiB for bounds; candidates take a few MiB more.
        """
        distances = np.empty((len(Q), n_neighbors))
        indices = np.empty((len(Q), n_neighbors), np.int64)
        for start, stop, queries in self._batches(Q):
            best = Best(stop - start, n_neighbors)
            search = Scan(
                self.rows, self.bounds, queries, None if exclude is None else exclude[start:stop]
            )
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
            search = Scan(
                self.rows, self.bounds, queries, None if exclude is None else exclude[start:stop]
            )
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
