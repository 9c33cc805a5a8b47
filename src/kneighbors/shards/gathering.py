"""Asking shards and merging what they answer, so that it is what one index would have answered.

Shards are asked in the order of how near they may be. A query is not sent to a shard whose least
distance is beyond the k-th best that the query has already; what is sent carries that distance
along, beyond which the shard need not look. Both leave equal distances in: ties go by the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import numpy as np

from kneighbors.errors import ClusterError
from kneighbors.search.metrics import Float64Array
from kneighbors.search.permitted import BoolArray, Excluded, Masks
from kneighbors.search.rows import FloatArray, RowArray
from kneighbors.search.topk import Best
from kneighbors.shards.executor import Executor
from kneighbors.shards.manifest import ShardEntry
from kneighbors.shards.tasks import Nearest, Within

#: Code of the refusal that says that nobody holds a shard at the moment.
UNAVAILABLE = "shard-unavailable"


class Gathering:
    """Some queries, asked of shards.

    Parameters
    ----------
    shards : sequence of ShardEntry
        In the order of their rows.
    executor : Executor
    metric : str
    Q : ndarray of shape (n_queries, n_features)
        Queries that have passed the gate.
    exclude, masks : optional
        As in `kneighbors.search.index.ExactIndex.kneighbors`, in rows of all shards.
    allow_partial : bool, default=False
        Whether to go on without shards that nobody holds, as long as there is one that somebody
        holds.

    Attributes
    ----------
    n_skipped : int
        Pairs of a query and a shard that needed no search.
    lost : set of int
        Shards that were asked, and nobody holds.
    """

    def __init__(
        self,
        shards: Sequence[ShardEntry],
        executor: Executor,
        metric: str,
        Q: FloatArray,
        exclude: Excluded | None = None,
        masks: Masks | None = None,
        *,
        allow_partial: bool = False,
    ) -> None:
        self._shards = shards
        self._executor = executor
        self._Q = Q
        self._exclude = exclude
        self._masks = masks
        self._least = np.stack([one.ball.least_distances(Q, metric) for one in shards])
        self._allow_partial = allow_partial
        self.n_skipped = 0
        self.lost: set[int] = set()

    def nearest(self, n_neighbors: int) -> Best:
        """Return the nearest rows of each query."""
        best = Best(len(self._Q), n_neighbors)
        # What is finite in the sum orders shards that some query says nothing about.
        order = np.argsort(np.nan_to_num(self._least, neginf=-1e300).sum(axis=1), kind="stable")
        waiting = iter(order.tolist())
        under_way: dict[Future[Any], tuple[int, RowArray]] = {}
        while True:
            while len(under_way) < self._executor.slots:
                shard = next(waiting, None)
                if shard is None:
                    break
                queries = self._asking(shard, best.worst)
                if len(queries):
                    task = self._nearest_task(shard, queries, n_neighbors, best.worst)
                    under_way[self._executor.submit(shard, task)] = (shard, queries)
            if not under_way:
                return best
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                shard, queries = under_way.pop(future)
                answer = self._answer(shard, future)
                if answer is not None:
                    self._merge(best, shard, queries, *answer)

    def within(self, radius: float) -> tuple[list[Float64Array], list[RowArray]]:
        """Return all rows within `radius` of each query, sorted by distance, then row."""
        found: list[list[tuple[Float64Array, RowArray]]] = [[] for _ in self._Q]
        limits = np.full(len(self._Q), radius)
        asked = []
        for shard in range(len(self._shards)):
            queries = self._asking(shard, limits)
            if len(queries):
                part = self._part(shard, queries)
                task = Within(self._Q[queries], radius, **part)
                asked.append((shard, queries, self._executor.submit(shard, task)))
        for shard, queries, future in asked:
            answer = self._answer(shard, future)
            if answer is None:
                continue
            for query, distances, rows in zip(queries.tolist(), *answer, strict=True):
                found[query].append((distances, rows + self._first(shard)))
        out = [_sorted(pieces) for pieces in found]
        return [distances for distances, _ in out], [rows for _, rows in out]

    def gaps(self, limits: Float64Array) -> list[list[ShardEntry]]:
        """Return for each query the lost shards that may hold rows within its limit."""
        found: list[list[ShardEntry]] = [[] for _ in self._Q]
        for shard in sorted(self.lost):
            for query in self._in_reach(shard, limits).tolist():
                found[query].append(self._shards[shard])
        return found

    def _answer(self, shard: int, future: Future[Any]) -> Any:
        """Return what a shard answers; None where one may go on without it."""
        try:
            return future.result()
        except ClusterError as error:
            if not self._allow_partial or error.code != UNAVAILABLE:
                raise
            self.lost.add(shard)
            if len(self.lost) == len(self._shards):
                raise
            return None

    def _asking(self, shard: int, limits: Float64Array) -> RowArray:
        queries = self._in_reach(shard, limits)
        self.n_skipped += len(self._Q) - len(queries)
        return queries

    def _in_reach(self, shard: int, limits: Float64Array) -> RowArray:
        queries = np.flatnonzero(~(self._least[shard] > limits)).astype(np.int64)
        if self._masks is not None and len(queries):
            allowed = _allows_any(self._masks, self._shards[shard])
            queries = queries[[allowed(query) for query in queries.tolist()]]
        return queries

    def _nearest_task(
        self, shard: int, queries: RowArray, n_neighbors: int, worst: Float64Array
    ) -> Nearest:
        limits = worst[queries]
        return Nearest(
            self._Q[queries],
            min(n_neighbors, self._shards[shard].rows),
            limits=limits if np.isfinite(limits).any() else None,
            **self._part(shard, queries),
        )

    def _part(self, shard: int, queries: RowArray) -> dict[str, Any]:
        """Return what a shard is told of exclusions and masks."""
        entry = self._shards[shard]
        exclude = masks = None
        if self._exclude is not None:
            exclude = [_inside(self._exclude[query], entry) for query in queries.tolist()]
            if not any(map(len, exclude)):
                exclude = None
        if self._masks is not None:
            # Queries that share a mask share its piece, too.
            pieces: dict[int, BoolArray] = {}
            masks = []
            for query in queries.tolist():
                mask = self._masks[query]
                if mask is not None and id(mask) not in pieces:
                    pieces[id(mask)] = mask[entry.first_row : entry.stop]
                masks.append(None if mask is None else pieces[id(mask)])
        return {"exclude": exclude, "masks": masks}

    def _merge(
        self, best: Best, shard: int, queries: RowArray, distances: Float64Array, rows: RowArray
    ) -> None:
        owners, places = np.nonzero(rows >= 0)
        best.merge(
            queries[owners], distances[owners, places], rows[owners, places] + self._first(shard)
        )

    def _first(self, shard: int) -> int:
        return self._shards[shard].first_row


def _inside(rows: RowArray, entry: ShardEntry) -> RowArray:
    return rows[(rows >= entry.first_row) & (rows < entry.stop)] - entry.first_row


def _allows_any(masks: Masks, entry: ShardEntry) -> Any:
    """Return a function that tells whether a query may have answers in a shard."""
    known: dict[int, bool] = {}

    def allowed(query: int) -> bool:
        mask = masks[query]
        if mask is None:
            return True
        if id(mask) not in known:
            known[id(mask)] = bool(mask[entry.first_row : entry.stop].any())
        return known[id(mask)]

    return allowed


def _sorted(pieces: Sequence[tuple[Float64Array, RowArray]]) -> tuple[Float64Array, RowArray]:
    if not pieces:
        return np.empty(0), np.empty(0, np.int64)
    distances = np.concatenate([piece[0] for piece in pieces])
    rows = np.concatenate([piece[1] for piece in pieces])
    order = np.lexsort((rows, distances))
    return distances[order], rows[order]


def batches_of(n_queries: int, size: int) -> Iterator[slice]:
    """Yield slices of queries that are asked together."""
    for start in range(0, n_queries, size):
        yield slice(start, start + size)
