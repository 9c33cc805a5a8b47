"""Selecting: where the largest bounds are, and the first k by distance, then row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.metrics import Float64Array
from kneighbors.search.rows import RowArray

IntArray = NDArray[np.intp]

#: Lanes per group: a maximum over the first axis of (lanes, groups) runs at the speed of memory.
_MOST_LANES = 64
_GROUPS_PER_NEIGHBOR = 16


def lanes_for(n_columns: int, n_neighbors: int) -> int:
    """Return how many columns a group has, so that there are many more groups than neighbours."""
    lanes = _MOST_LANES
    while lanes > 1 and n_columns < lanes * n_neighbors * _GROUPS_PER_NEIGHBOR:
        lanes //= 2
    return lanes


class Grouped:
    """A matrix of upper bounds, with the maximum of every group of its columns.

    Columns that are ``n_groups`` apart form a group, so column c is in group ``c % n_groups``. A
    group whose maximum does not reach a floor is passed over without a look at its columns.

    Parameters
    ----------
    bounds : ndarray of shape (n_queries, lanes * n_groups), dtype float32 or int32
        C-contiguous; padding columns hold less than any bound.
    lanes : int
        Columns per group.
    """

    def __init__(self, bounds: NDArray[Any], lanes: int) -> None:
        self.bounds = bounds
        self.n_groups = bounds.shape[1] // lanes
        self.cube = bounds.reshape(len(bounds), lanes, self.n_groups)
        self.maxima: NDArray[Any] = bounds if lanes == 1 else self.cube.max(axis=1)

    def leaders(self, count: int) -> RowArray:
        """Return, for each query, the columns of the `count` groups with the largest maxima."""
        count = min(count, self.n_groups)
        if count == self.n_groups:
            groups = np.broadcast_to(np.arange(count), (len(self.maxima), count))
        else:
            groups = np.argpartition(self.maxima, self.n_groups - count, axis=1)[:, -count:]
        queries = np.arange(len(groups))[:, np.newaxis]
        lanes = self.cube[queries, :, groups].argmax(axis=2)
        return np.asarray(lanes * self.n_groups + groups, dtype=np.int64)

    def leading(self, count: int) -> NDArray[Any]:
        """Return, for each query, the largest maxima, at most `count`."""
        place = max(self.n_groups - count, 0)
        return np.asarray(np.partition(self.maxima, place, axis=1)[:, place:])

    def groups_reaching(self, floors: NDArray[Any]) -> tuple[IntArray, IntArray]:
        """Return the pairs (query, group) with a bound that is not below the query's floor."""
        if len(floors) == 1:
            groups = np.flatnonzero(self.maxima[0] >= floors[0])
            return np.zeros(len(groups), np.intp), groups
        queries, groups = np.nonzero(self.maxima >= floors[:, np.newaxis])
        return queries, groups

    def columns_reaching(
        self, floors: NDArray[Any], queries: IntArray, groups: IntArray
    ) -> tuple[IntArray, RowArray]:
        """Return the pairs (query, column) in some groups whose bound reaches the floor."""
        if self.maxima is self.bounds:
            return queries, groups.astype(np.int64)
        values = self.cube[queries, :, groups]
        pairs, lanes = np.nonzero(values >= floors[queries, np.newaxis])
        return queries[pairs], np.asarray(lanes * self.n_groups + groups[pairs], dtype=np.int64)


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
