"""Selecting: the first k by distance, then row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.metrics import Float64Array
from kneighbors.search.rows import RowArray

IntArray = NDArray[np.intp]


class Best:
    """The k best rows found so far, for each of several queries.

    Parameters
    ----------
    n_queries, n_neighbors : int
        Places; those not yet taken have the distance infinity and the row -1.
    limits : ndarray of shape (n_queries,), dtype float64, optional
        Distances beyond which no row is of use.
    """

    def __init__(
        self, n_queries: int, n_neighbors: int, limits: Float64Array | None = None
    ) -> None:
        self._limits = limits
        self.distances = np.full((n_queries, n_neighbors), np.inf)
        self.rows = np.full((n_queries, n_neighbors), -1, dtype=np.int64)
        self.is_empty = True

    def take(self, other: Best) -> None:
        """Take in what another one holds, of the same queries and other rows."""
        queries, places = np.nonzero(other.rows >= 0)
        self.merge(queries, other.distances[queries, places], other.rows[queries, places])

    @property
    def worst(self) -> Float64Array:
        """Distance of the k-th best of each query, or its limit; infinity until there are k."""
        worst = self.distances[:, -1]
        return worst if self._limits is None else np.minimum(worst, self._limits)

    def merge(self, queries: IntArray, distances: Float64Array, rows: RowArray) -> None:
        """Take in new pairs; none of them may be among the best already."""
        n_queries, n_neighbors = self.rows.shape
        if self.is_empty:
            self.is_empty = False
        else:
            held = self.rows >= 0
            queries = np.concatenate([np.nonzero(held)[0], queries])
            distances = np.concatenate([self.distances[held], distances])
            rows = np.concatenate([self.rows[held], rows])
        if n_queries == 1:
            order = np.lexsort((rows, distances))[:n_neighbors]
            self.distances[0, : len(order)] = distances[order]
            self.rows[0, : len(order)] = rows[order]
            return
        order = np.lexsort((rows, distances, queries))
        queries = queries[order]
        firsts = np.searchsorted(queries, np.arange(n_queries))
        places = np.arange(len(queries)) - firsts[queries]
        kept = places < n_neighbors
        queries, places, order = queries[kept], places[kept], order[kept]
        self.distances[queries, places] = distances[order]
        self.rows[queries, places] = rows[order]
