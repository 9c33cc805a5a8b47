"""Selecting: where the largest bounds are, and the first k by distance, then row."""

from __future__ import annotations

import math
import threading
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
    """Upper bounds of some rows, with the maximum of every group of them.

    Columns of a piece that are ``n_groups`` apart form a group.

    Parameters
    ----------
    bounds : ndarray of shape (n_pieces, n_queries, lanes * n_groups), dtype float32 or int32
        C-contiguous; padding columns hold less than any bound.
    lanes : int
        Columns per group.
    """

    def __init__(self, bounds: NDArray[Any], lanes: int) -> None:
        n_pieces, n_queries, width = bounds.shape
        self._width = width
        self._n_groups = width // lanes
        self._cube = bounds.reshape(n_pieces, n_queries, lanes, self._n_groups)
        maxima = bounds if lanes == 1 else self._cube.max(axis=2)
        self._maxima: NDArray[Any] = maxima.transpose(1, 0, 2).reshape(n_queries, -1)

    def leaders(self, count: int) -> RowArray:
        """Return, for each query, the columns of the `count` groups with the largest maxima."""
        n_queries, n_groups = self._maxima.shape
        count = min(count, n_groups)
        if count == n_groups:
            groups = np.broadcast_to(np.arange(count), (n_queries, count))
        else:
            groups = np.argpartition(self._maxima, n_groups - count, axis=1)[:, -count:]
        pieces, groups = np.divmod(groups, self._n_groups)
        queries = np.arange(n_queries)[:, np.newaxis]
        lanes = self._cube[pieces, queries, :, groups].argmax(axis=2)
        return np.asarray(pieces * self._width + lanes * self._n_groups + groups, np.int64)


def places(bounds: NDArray[Any], queries: IntArray, columns: RowArray) -> tuple[Any, ...]:
    """Return the index of pairs of a query and a column in bounds that come in pieces."""
    if len(bounds) == 1:
        return 0, queries, columns
    pieces, columns = np.divmod(columns, bounds.shape[2])
    return pieces, queries, columns


def reaching(bounds: NDArray[Any], floors: NDArray[Any]) -> tuple[IntArray, RowArray]:
    """Return the pairs (query, column) whose bound is not below the query's floor.

    Parameters
    ----------
    bounds : ndarray of shape (n_pieces, n_queries, 8 n), dtype float32 or int32
        C-contiguous.
    floors : ndarray of shape (n_queries,), of the same dtype
    """
    reached = _scratch.mask(bounds.shape)
    np.greater_equal(bounds, floors[:, np.newaxis], out=reached)
    # Eight answers are looked at as one number: nearly all of them are no.
    eights = np.flatnonzero(reached.reshape(-1).view(np.uint64) != 0)
    if not len(eights):
        return eights, eights
    of, columns = np.nonzero(reached.reshape(-1, 8).take(eights, axis=0))
    columns += eights.take(of) * 8
    _, n_queries, width = bounds.shape
    if n_queries == 1:
        return np.zeros(len(columns), np.intp), columns
    lines, columns = np.divmod(columns, width)
    if len(bounds) == 1:
        return lines, columns
    pieces, queries = np.divmod(lines, n_queries)
    columns += pieces * width
    return queries, columns


class _Scratch(threading.local):
    """Memory that each thread keeps: getting it anew costs as much as filling it."""

    def __init__(self) -> None:
        self._mask = np.empty(0, bool)

    def mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        size = math.prod(shape)
        if self._mask.size < size:
            self._mask = np.empty(size, bool)
        return self._mask[:size].reshape(shape)


_scratch = _Scratch()


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
