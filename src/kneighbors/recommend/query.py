"""A request that has been understood and checked, and what was found for it.

Between the two lies only the search, so that a server may join the queries of several requests
into one product (`kneighbors.recommend.finding.find`) and still answer each by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kneighbors.formats.request import FloatArray, Shape
from kneighbors.recommend.allowing import Allowed
from kneighbors.recommend.choosing import Choice
from kneighbors.recommend.tastes import Taste

Float64Array = NDArray[np.float64]
RowArray = NDArray[np.int64]
#: Ranges of rows: the first and the last of each.
Ranges = list[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A request ready to be searched for.

    Parameters
    ----------
    vectors : ndarray of shape (n_queries, n_features), dtype float32 or float64
        Checked by the gate. Not looked at where each like is searched for by itself.
    n_neighbors : int or None
        Neighbours for each query; None where a radius alone decides, never without one.
    radius : float or None
        Largest distance of an answer.
    exclude : list of ndarray, or None
        For each query, rows that may not be answers.
    include_items : bool or tuple of str
        Whether the attributes are wanted, or which.
    single, shape
        As in `kneighbors.formats.Request`.
    accept : str or None
        The Accept header; the format follows from it, from `source` and from what was found.
    source : str
        Media type of the request.
    allowed : Allowed or None
        Rows that may be answers of any of the queries; None allows all.
    choice : Choice or None
        What is done with the candidates besides taking the nearest; None takes the nearest.
    tastes : list of Taste, or None
        Likes and dislikes of each query, where they are still needed.
    by_each : bool, default=False
        Whether candidates are ordered by their distances to the likes and dislikes one by one,
        rather than by that to a vector.
    explain : bool, default=False
        Whether each answer says which like it is nearest to.
    allow_partial : bool, default=False
        Whether to go on without rows that nobody can search at the moment.
    """

    vectors: FloatArray
    n_neighbors: int | None
    radius: float | None
    exclude: list[RowArray] | None
    include_items: bool | tuple[str, ...]
    single: bool
    shape: Shape
    accept: str | None
    source: str
    allowed: Allowed | None = None
    choice: Choice | None = None
    tastes: list[Taste] | None = None
    by_each: bool = False
    explain: bool = False
    allow_partial: bool = False

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def is_plain(self) -> bool:
        """Whether one search answers it, which the queries of other requests may share."""
        return self.n_neighbors is not None and self.choice is None and not self.by_each

    @property
    def may_fall_short(self) -> bool:
        """Whether there may be fewer neighbours than it asks for."""
        return not (self.exclude is None and self.radius is None and self.allowed is None) or (
            self.choice is not None or self.allow_partial
        )

    def part(self, part: slice) -> Query:
        """Return the same for some of the queries."""
        return replace(
            self,
            vectors=self.vectors[part],
            exclude=None if self.exclude is None else self.exclude[part],
            tastes=None if self.tastes is None else self.tastes[part],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The neighbours of one request's queries.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, n_neighbors), dtype float64, or list of ndarray
        A list where the queries have different numbers of neighbours, or too few.
    indices : ndarray of shape (n_queries, n_neighbors), dtype int64, or list of ndarray
    reasons : list of (str or None), optional
        Why a query has fewer neighbours than asked for.
    missing : list of Ranges, optional
        For each query the rows that may have had an answer and could not be searched.
    """

    distances: Float64Array | Sequence[Float64Array]
    indices: RowArray | Sequence[RowArray]
    reasons: list[str | None] | None = None
    missing: list[Ranges] | None = None
