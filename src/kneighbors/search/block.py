"""Upper bounds of some rows for some queries: where the largest are, which reach a threshold."""

from __future__ import annotations

import math
import threading
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search import kernel
from kneighbors.search.rows import RowArray
from kneighbors.search.topk import IntArray

#: Lanes per group: a maximum over the first axis of (lanes, groups) runs at the speed of memory.
_MOST_LANES = 64
_GROUPS_PER_NEIGHBOR = 16


class Block:
    """Upper bounds of some consecutive rows.

    Parameters
    ----------
    bounds : ndarray of shape (n_pieces, n_queries, rows of a piece), dtype float32 or int32
        C-contiguous; padding columns hold less than any bound. Columns are counted through the
        pieces.
    maxima : ndarray of shape (n_pieces, n_queries, n_groups), optional
        Where the kernel gave the bounds: no less than the largest of the columns of a piece that
        are ``n_groups`` apart.
    """

    def __init__(self, bounds: NDArray[Any], maxima: NDArray[np.int32] | None = None) -> None:
        self.bounds = bounds
        self._maxima = maxima

    @property
    def n_columns(self) -> int:
        """How many rows there are, padding included."""
        return int(self.bounds.shape[0] * self.bounds.shape[2])

    def leaders(self, count: int, n_neighbors: int) -> RowArray:
        """Return, for each query, the columns of the `count` groups with the largest maxima.

        Parameters
        ----------
        count : int
        n_neighbors : int
            There are many more groups than this, if there are enough columns.

        Returns
        -------
        ndarray of shape (n_queries, at most `count`), dtype int64
            The best column of each.
        """
        n_pieces, n_queries, width = self.bounds.shape
        lanes = _lanes_for(self.n_columns, n_neighbors)
        n_groups = width // lanes
        cube = self.bounds.reshape(n_pieces, n_queries, lanes, n_groups)
        if self._maxima is not None and self._maxima.shape[2] == n_groups:
            maxima = self._maxima
        else:
            maxima = self.bounds if lanes == 1 else cube.max(axis=2)
        maxima = maxima.transpose(1, 0, 2).reshape(n_queries, -1)
        if count >= maxima.shape[1]:
            groups = np.broadcast_to(np.arange(maxima.shape[1]), maxima.shape)
        else:
            groups = np.argpartition(maxima, -count, axis=1)[:, -count:]
        pieces, groups = np.divmod(groups, n_groups)
        queries = np.arange(n_queries)[:, np.newaxis]
        best = cube[pieces, queries, :, groups].argmax(axis=2)
        return np.asarray(pieces * width + best * n_groups + groups, np.int64)

    def take(self, queries: IntArray, columns: RowArray) -> NDArray[Any]:
        """Return the bounds of pairs of a query and a column."""
        return np.asarray(self._flat.take(self._places(queries, columns)))

    def put(self, queries: IntArray, columns: RowArray, bound: float) -> None:
        """Set the bounds of pairs of a query and a column, to no more than they are."""
        self._flat[self._places(queries, columns)] = bound

    def reaching(self, thresholds: NDArray[Any]) -> tuple[IntArray, RowArray]:
        """Return the pairs (query, column) whose bound is not below the query's threshold.

        Parameters
        ----------
        thresholds : ndarray of shape (n_queries,), of the bounds' dtype
        """
        if self._maxima is not None:
            return kernel.reaching(self.bounds, self._maxima, thresholds)
        reached = _scratch.mask(self.bounds.shape)
        np.greater_equal(self.bounds, thresholds[:, np.newaxis], out=reached)
        # Eight answers are looked at as one number: nearly all of them are no.
        eights = np.flatnonzero(reached.reshape(-1).view(np.uint64) != 0)
        if not len(eights):
            return eights, eights
        of, columns = np.nonzero(reached.reshape(-1, 8).take(eights, axis=0))
        columns += eights.take(of) * 8
        n_pieces, n_queries, width = self.bounds.shape
        if n_queries == 1:
            return np.zeros(len(columns), np.intp), columns
        lines, columns = np.divmod(columns, width)
        if n_pieces == 1:
            return lines, columns
        pieces, queries = np.divmod(lines, n_queries)
        columns += pieces * width
        return queries, columns

    @cached_property
    def _flat(self) -> NDArray[Any]:
        return self.bounds.reshape(-1)

    def _places(self, queries: IntArray, columns: RowArray) -> RowArray:
        n_pieces, n_queries, width = self.bounds.shape
        if n_queries == 1:
            return columns
        if n_pieces == 1:
            return np.asarray(queries * width + columns)
        return np.asarray(columns + (columns // width * (n_queries - 1) + queries) * width)


def _lanes_for(n_columns: int, n_neighbors: int) -> int:
    """Return how many columns a group has, so that there are many more groups than neighbours."""
    lanes = _MOST_LANES
    while lanes > 1 and n_columns < lanes * n_neighbors * _GROUPS_PER_NEIGHBOR:
        lanes //= 2
    return lanes


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
