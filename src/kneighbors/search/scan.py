"""The scan: from bounds to answers, for one batch of queries.

Blocks of rows are bounded one after another, by several threads where that pays. Rows whose bounds
reach the floor of their query are looked at by a finer bound, if there is one; what is left is
scored from the original vectors, and the best are the answer. How floors are found is up to the
lane: `leading` takes them from bounds alone, `improving` from distances.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.block import Block
from kneighbors.search.crew import threads, together
from kneighbors.search.fine import FineBounds
from kneighbors.search.improving import nearest_by_distances
from kneighbors.search.kernel import maxima_of
from kneighbors.search.leading import nearest_by_bounds
from kneighbors.search.metrics import METRICS, Float64Array
from kneighbors.search.permitted import BoolArray, Permitted
from kneighbors.search.rounding import Float32Array
from kneighbors.search.rows import FloatArray, RowArray, Rows
from kneighbors.search.sieve import Sieve
from kneighbors.search.staged import StagedBounds
from kneighbors.search.topk import Best, IntArray

#: Float64 elements of candidate vectors held at a time: with what is made of them, they stay in a
#: core's cache.
_PAIR_ELEMENTS = 1 << 15
#: Where the sieve leaves more than one row of so many, of the corpus or of a block, it is no use to
#: the query.
_USELESS_SHARE, _USELESS_SHARE_OF_BLOCK = 16, 4
#: Leaders scored for a first floor, a neighbour: twice as many leave half the candidates.
_LEADERS = 2
#: Leaders of a coarse bound, a neighbour, of which a finer one chooses those that are scored.
_COARSE_LEADERS = 8


class _Scratch(threading.local):
    """Memory for bounds that each thread keeps: getting it anew costs as much as filling it."""

    def __init__(self) -> None:
        self.buffer = np.empty(0, np.int32)

    def bounds(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return room for 32-bit numbers."""
        size = math.prod(shape)
        if self.buffer.size < size:
            self.buffer = np.empty(size, np.int32)
        return self.buffer[:size].view(dtype).reshape(shape)


_scratch = _Scratch()


class Lane(Protocol):
    """What one thread finds in the blocks that it takes.

    Attributes
    ----------
    reached : ndarray of shape (n_queries,), dtype int64
        For each query, the rows that the sieve has left; see `Scan.reaching`.
    """

    reached: IntArray

    def take(self, first: int, last: int) -> None:
        """Look at rows `first` to `last`."""


_Lane = TypeVar("_Lane", bound=Lane)


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
    fine : FineBounds or None
        Finer bounds of the rows that the sieve leaves.
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
        self.may_give_up = bounds.plain is not None
        self.fine: FineBounds | None = None
        # A plain product has a frame of its own, and nothing finer is to be had.
        if bounds.fine is not None and bounds.fine.frame is self.sieve.frame:
            self.fine_coefficients = bounds.fine.coefficients(self.sieve.placed)
            if np.isfinite(self.fine_coefficients).all():
                self.fine = bounds.fine

    def nearest(self, n_neighbors: int, limits: Float64Array | None = None) -> Best:
        """Return the nearest rows of each query; those beyond its limit may be missing."""
        if self.sieve.spread is not None:
            return nearest_by_bounds(self, self.sieve.spread, n_neighbors, limits)
        return nearest_by_distances(self, n_neighbors, limits)

    def nearest_of(self, rows: RowArray, n_neighbors: int) -> Best:
        """Return the nearest of the given rows, which are all that the only query may have."""
        best = Best(1, n_neighbors)
        queries = np.zeros(len(rows), np.intp)
        best.merge(queries, self.score(queries, rows), rows)
        return best

    def within(self, radius: float) -> tuple[IntArray, Float64Array, RowArray]:
        """Return all pairs (query, distance, row) within `radius`, by query, distance and row."""
        floors = self.floors(np.full(len(self.prepared), radius))
        reached = np.zeros(len(floors), np.int64)
        blocks = self.sieve.blocks()
        found = [self._within(radius, floors, reached, *block) for block in blocks]
        self.given_up |= self._is_given_up(reached)
        queries, distances, rows = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((rows, distances, queries))
        return queries[order], distances[order], rows[order]

    def run(self, lane: Callable[[], _Lane]) -> list[_Lane]:
        """Take all blocks, on as many lanes as there are threads, and return the lanes."""
        blocks = self.sieve.blocks()
        most = min(len(blocks) // 2, threads()) if self.sieve.has_lanes else 1
        turns = count()
        lanes: list[_Lane] = []

        def work() -> None:
            mine = None
            while (turn := next(turns)) < len(blocks):
                if mine is None:
                    mine = lane()
                    lanes.append(mine)
                mine.take(*blocks[turn])

        together(work, most)
        for each in lanes:
            self.given_up |= self._is_given_up(each.reached)
        return lanes

    def score(self, queries: IntArray, rows: RowArray) -> Float64Array:
        """Return the distances of pairs of a query and a row, from the original vectors."""
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

    def floors(self, distances: Float64Array) -> Float32Array:
        """Return the least scores of rows at most so far away from each query."""
        sieve = self.sieve
        return sieve.frame.floors(sieve.placed, distances, sieve.margin)

    def bound(self, first: int, last: int) -> Block:
        """Bound the scores of rows `first` to `last`, in pieces; see `Sieve.fill`."""
        sieve = self.sieve
        bounds = _scratch.bounds(sieve.shape(first, last), sieve.dtype)
        maxima = sieve.fill(first, last, bounds)
        if self.permitted.hide(bounds, first, last, sieve.excluded) and maxima is not None:
            maxima = maxima_of(bounds)
        return Block(bounds, maxima)

    def reaching(
        self, block: Block, floors: Float32Array, reached: IntArray
    ) -> tuple[IntArray, RowArray]:
        """Return the pairs (query, column) that reach the floors, of queries not given up.

        Parameters
        ----------
        block : Block
        floors : ndarray of shape (n_queries,), dtype float32
        reached : ndarray of shape (n_queries,), dtype int64
            Counts that are added to: those that grow too large give their queries up.
        """
        queries, columns = block.reaching(self.sieve.thresholds(floors))
        if self.may_give_up and len(queries):
            counts = np.bincount(queries, minlength=len(floors))
            reached += counts
            reached[counts * _USELESS_SHARE_OF_BLOCK > block.n_columns] = self.n_samples
            up = self._is_given_up(reached)
            if up.any():
                left = ~up[queries]
                queries, columns = queries[left], columns[left]
        return queries, columns

    def _is_given_up(self, reached: IntArray) -> BoolArray:
        return np.asarray(self.may_give_up & (reached * _USELESS_SHARE > self.n_samples))

    def refined(
        self, block: Block, floors: Float32Array, first: int, reached: IntArray
    ) -> tuple[IntArray, RowArray, NDArray[Any]]:
        """Return the pairs (query, row, bound) whose bounds, of all stages, reach the floors."""
        queries, columns = self.reaching(block, floors, reached)
        if self.fine is None:
            return queries, columns + first, block.take(queries, columns)
        rows = columns + first
        upper = self.fine.upper(self.fine_coefficients, queries, rows)
        near = np.flatnonzero(upper >= floors[queries])
        return queries[near], rows[near], upper[near]

    def leaders(self, block: Block, first: int, n_neighbors: int) -> tuple[IntArray, RowArray]:
        """Take the rows that are likely the nearest out of the bounds, and return the pairs."""
        wanted = _LEADERS * n_neighbors
        count = wanted if self.fine is None else _COARSE_LEADERS * n_neighbors
        leaders = block.leaders(count, n_neighbors)
        queries = np.repeat(np.arange(len(leaders)), leaders.shape[1])
        columns = leaders.ravel()
        if self.fine is not None and leaders.shape[1] > wanted:
            # Padding is no row, and will be left out.
            rows = np.minimum(columns + first, self.n_samples - 1)
            upper = self.fine.upper(self.fine_coefficients, queries, rows).reshape(leaders.shape)
            order = np.argpartition(upper, leaders.shape[1] - wanted, axis=1)[:, -wanted:]
            columns = np.take_along_axis(leaders, order, axis=1).ravel()
            queries = np.repeat(np.arange(len(leaders)), wanted)
        real = np.flatnonzero(block.take(queries, columns) > self.sieve.excluded)
        queries, columns = queries[real], columns[real]
        block.put(queries, columns, self.sieve.excluded)
        return queries, columns + first

    def _within(
        self, radius: float, floors: Float32Array, reached: IntArray, first: int, last: int
    ) -> tuple[IntArray, Float64Array, RowArray]:
        queries, rows, _ = self.refined(self.bound(first, last), floors, first, reached)
        distances = self.score(queries, rows)
        near = np.flatnonzero(distances <= radius)
        return queries[near], distances[near], rows[near]
