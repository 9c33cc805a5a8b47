"""What is done where a shard is opened: small, picklable, and the very search of one machine.

A task is called with the opened shard, which may be in another thread, process or machine. Rows in
it are those of the shard, from 0; whoever sends it adds where the shard begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from kneighbors.artifact import Artifact
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import Float64Array
from kneighbors.search.permitted import BoolArray
from kneighbors.search.rows import FloatArray, RowArray

T_co = TypeVar("T_co", covariant=True)


class Task(Protocol[T_co]):
    """Something to be done with an opened shard."""

    def __call__(self, artifact: Artifact) -> T_co:
        """Do it."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest rows of each query.

    Parameters
    ----------
    Q : ndarray of shape (n_queries, n_features)
        Queries that have passed the gate.
    n_neighbors : int
        No more than the shard has rows.
    exclude : sequence of int64 arrays, optional
        For each query, rows of the shard that may not be answers.
    masks : sequence of bool arrays or None, optional
        For each query, where in the shard an answer may be.
    limits : ndarray of shape (n_queries,), dtype float64, optional
        Distances beyond which nothing is looked for: rows farther away may be missing.
    """

    Q: FloatArray
    n_neighbors: int
    exclude: Sequence[RowArray] | None = None
    masks: Sequence[BoolArray | None] | None = None
    limits: Float64Array | None = None

    def __call__(self, artifact: Artifact) -> tuple[Float64Array, RowArray]:
        """Return distances and rows, both of shape (n_queries, n_neighbors)."""
        return _exact(artifact).kneighbors(
            self.Q, self.n_neighbors, exclude=self.exclude, masks=self.masks, limits=self.limits
        )


@dataclass(frozen=True, eq=False)
class Within:
    """All rows within a radius of each query; parameters as of `Nearest`."""

    Q: FloatArray
    radius: float
    exclude: Sequence[RowArray] | None = None
    masks: Sequence[BoolArray | None] | None = None

    def __call__(self, artifact: Artifact) -> tuple[list[Float64Array], list[RowArray]]:
        """Return distances and rows of each query."""
        return _exact(artifact).radius_neighbors(
            self.Q, self.radius, exclude=self.exclude, masks=self.masks
        )


@dataclass(frozen=True, eq=False)
class TakeRows:
    """The vectors of some rows."""

    rows: RowArray

    def __call__(self, artifact: Artifact) -> FloatArray:
        """Return copies, of shape (len(rows), n_features)."""
        return artifact.index.rows.take(self.rows)


@dataclass(frozen=True)
class TakeRange:
    """The vectors of rows that follow one another, from `start` to `stop`."""

    start: int
    stop: int

    def __call__(self, artifact: Artifact) -> FloatArray:
        """Return copies, of shape (stop - start, n_features)."""
        return np.array(artifact.index.rows.slice(self.start, self.stop))


@dataclass(frozen=True)
class CheckRows:
    """Whether rows are what was saved, from `start` to `stop`; they stay where they are."""

    start: int
    stop: int

    def __call__(self, artifact: Artifact) -> None:
        """Compare them with their checksums; refused as they are when a query touches them."""
        rows = artifact.index.rows
        getattr(rows, "check", rows.slice)(self.start, self.stop)


def _exact(artifact: Artifact) -> ExactIndex:
    # Shards are exact: `kneighbors.shards.opening` refuses others.
    return cast(ExactIndex, cast(Any, artifact.index))
