"""An index over shards: what an exact index of all rows answers, from several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from kneighbors.errors import ArtifactError
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import Float64Array
from kneighbors.search.permitted import Excluded, Masks
from kneighbors.search.rows import FloatArray, RowArray, Rows
from kneighbors.shards.executor import Executor
from kneighbors.shards.gathering import Gathering, batches_of
from kneighbors.shards.manifest import ShardEntry

#: Queries that are sent to a shard together: of 768 dimensions, 13 MB.
_MOST_QUERIES = 4096


class ShardedIndex(ExactIndex):
    """Exact nearest neighbours of a corpus in shards.

    Immutable; safe to use from several threads.

    Parameters
    ----------
    rows : Rows
        The vectors of all shards.
    metric : str
    plan : mapping
        What was decided at the fit.
    shards : sequence of ShardEntry
        In the order of their rows.
    executor : Executor
        Where they are searched.

    Attributes
    ----------
    shards, executor
        As above.
    """

    _allow_partial = False

    def __init__(
        self,
        rows: Rows,
        metric: str,
        plan: Mapping[str, Any],
        shards: Sequence[ShardEntry],
        executor: Executor,
    ) -> None:
        self.rows = rows
        self.metric = metric
        self.plan = dict(plan)
        self.shards = tuple(shards)
        self.executor = executor

    def kneighbors(
        self,
        Q: FloatArray,
        n_neighbors: int,
        *,
        exclude: Excluded | None = None,
        masks: Masks | None = None,
        limits: Float64Array | None = None,
    ) -> tuple[Float64Array, RowArray]:
        """Return the nearest rows of each query; see `ExactIndex.kneighbors`.

        Notes
        -----
        The answers are those of one index over all rows, bit by bit: a distance depends on its two
        vectors alone. `limits` saves nothing here and is not looked at.
        """
        distances = np.empty((len(Q), n_neighbors))
        indices = np.empty((len(Q), n_neighbors), np.int64)
        for part in batches_of(len(Q), _MOST_QUERIES):
            gathering = self._gathering(Q, part, exclude, masks)
            best = gathering.nearest(n_neighbors)
            self._note(gathering, best.worst)
            distances[part], indices[part] = best.distances, best.rows
        return distances, indices

    def radius_neighbors(
        self,
        Q: FloatArray,
        radius: float,
        *,
        exclude: Excluded | None = None,
        masks: Masks | None = None,
    ) -> tuple[list[Float64Array], list[RowArray]]:
        """Return all rows within `radius` of each query; see `ExactIndex.radius_neighbors`."""
        distances: list[Float64Array] = []
        indices: list[RowArray] = []
        for part in batches_of(len(Q), _MOST_QUERIES):
            gathering = self._gathering(Q, part, exclude, masks)
            near, rows = gathering.within(radius)
            self._note(gathering, np.full(len(near), radius))
            distances += near
            indices += rows
        return distances, indices

    def partial(self) -> PartialIndex:
        """Return the same index, which goes on without shards that nobody holds."""
        return PartialIndex(self)

    def parts(self) -> NoReturn:
        """Refuse: shards are not made one by being saved."""
        raise ArtifactError(
            "shards-unsupported",
            "Expected an index in one piece, got one in shards.",
            hint="Give a single shard, or train without --shards.",
        )

    def __reduce__(self) -> NoReturn:
        self.parts()

    def _gathering(
        self, Q: FloatArray, part: slice, exclude: Excluded | None, masks: Masks | None
    ) -> Gathering:
        return Gathering(
            self.shards,
            self.executor,
            self.metric,
            Q[part],
            None if exclude is None else exclude[part],
            None if masks is None else masks[part],
            allow_partial=self._allow_partial,
        )

    def _note(self, gathering: Gathering, limits: Float64Array) -> None:
        """Take note of what a gathering went on without."""


class PartialIndex(ShardedIndex):
    """An index that goes on without shards that nobody holds; for one search, or a few.

    Where nobody holds any shard it refuses as the whole index does.

    Attributes
    ----------
    missing : list of list of (int, int)
        For each query that was asked, in order, the first and the last row of every shard that may
        have had an answer and could not be asked.
    """

    _allow_partial = True

    def __init__(self, whole: ShardedIndex) -> None:
        super().__init__(whole.rows, whole.metric, whole.plan, whole.shards, whole.executor)
        self.missing: list[list[tuple[int, int]]] = []

    def _note(self, gathering: Gathering, limits: Float64Array) -> None:
        for gaps in gathering.gaps(limits):
            self.missing.append([(one.first_row, one.stop - 1) for one in gaps])
