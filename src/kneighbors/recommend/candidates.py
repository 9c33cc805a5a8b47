"""Candidates in their order, the best first, of as many rows as are asked for.

Two kinds: ordered by the distance to a vector, or by the distances to likes and dislikes one by
one. Both are exact: what `first` returns are the first of all the rows that the mask allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from kneighbors.formats.request import FloatArray
from kneighbors.recommend.tastes import Taste
from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import RowArray, Rows

if TYPE_CHECKING:
    from kneighbors.search.graph_opening import Index

BoolArray = NDArray[np.bool_]
Float64Array = NDArray[np.float64]

#: Rows scored in one step: some megabytes of float64.
_ELEMENTS = 1 << 20
#: Where a search for each like has to go so deep, all rows are scored.
_DEEP_SHARE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Candidates in their order.

    Parameters
    ----------
    rows : ndarray of shape (n,), dtype int64
    distances : ndarray of shape (n,), dtype float64
        What an answer says.
    costs : ndarray of shape (n,), dtype float64
        What they are ordered by, within their class.
    is_late : ndarray of shape (n,), dtype bool
        The second class, which comes after all of the first.
    """

    rows: RowArray
    distances: Float64Array
    costs: Float64Array
    is_late: BoolArray

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, kept: BoolArray) -> Ranked:
        """Return some of them."""
        return Ranked(self.rows[kept], self.distances[kept], self.costs[kept], self.is_late[kept])


class Candidates(Protocol):
    """Rows in an order."""

    ascend: bool
    """Whether their distances ascend."""

    def first(self, mask: BoolArray, count: int) -> Ranked:
        """Return the first `count` of the rows that `mask` allows, or all if they are fewer."""

    def nearer_than(self, mask: BoolArray, distance: float) -> RowArray:
        """Return the rows that `mask` allows whose distance is below `distance`."""


class NearestToVector:
    """Rows by their distance to a vector, then by row.

    Parameters
    ----------
    index : Index or GraphIndex
    vector : ndarray of shape (n_features,)
    """

    ascend = True

    def __init__(self, index: Index, vector: FloatArray) -> None:
        self._index = index
        self._query = vector[np.newaxis]

    def first(self, mask: BoolArray, count: int) -> Ranked:
        """Return the first of the rows that the mask allows."""
        count = min(count, int(np.count_nonzero(mask)))
        if not count:
            return _ranked(np.empty(0, np.int64), np.empty(0))
        distances, rows = self._index.kneighbors(self._query, count, masks=[mask])
        real = rows[0] >= 0
        return _ranked(rows[0][real], distances[0][real])

    def nearer_than(self, mask: BoolArray, distance: float) -> RowArray:
        """Return the rows that the mask allows within a distance, itself not included."""
        within = float(np.nextafter(distance, -np.inf))
        return self._index.radius_neighbors(self._query, within, masks=[mask])[1][0]


class EachByItself:
    """Rows by their distances to likes and dislikes one by one, as Qdrant's ``best_score``.

    A row that is nearer to some like than to every dislike comes first, by its distance to the
    nearest like. After all of these come the others, the farthest from its nearest dislike first.
    Equal ones are ordered by row.

    Parameters
    ----------
    index : Index or GraphIndex
    taste : Taste
        With a like or a dislike.
    """

    ascend = False

    def __init__(self, index: Index, taste: Taste) -> None:
        self._index = index
        self._likes = taste.like.vectors
        self._dislikes = taste.dislike.vectors
        self._scores = Scores(index.rows, index.metric)

    def first(self, mask: BoolArray, count: int) -> Ranked:
        """Return the first of the rows that the mask allows."""
        n_allowed = int(np.count_nonzero(mask))
        depth = count
        while len(self._likes) and depth * _DEEP_SHARE < n_allowed:
            found = self._near(mask, depth)
            if len(found) >= count:
                return found.where(np.arange(len(found)) < count)
            depth *= 4
        return self._order(np.flatnonzero(mask)).where(np.arange(n_allowed) < count)

    def nearer_than(self, mask: BoolArray, distance: float) -> RowArray:
        """Return the rows that the mask allows within a distance, itself not included."""
        if not len(self._likes):
            ranked = self._order(np.flatnonzero(mask))
            return ranked.rows[ranked.distances < distance]
        within = float(np.nextafter(distance, -np.inf))
        masks = [mask] * len(self._likes)
        found = self._index.radius_neighbors(self._likes, within, masks=masks)[1]
        return np.unique(np.concatenate(found))

    def _near(self, mask: BoolArray, depth: int) -> Ranked:
        """Return those rows of the first class that are known to come before all the others."""
        masks = [mask] * len(self._likes)
        distances, rows = self._index.kneighbors(self._likes, depth, masks=masks)
        # Beyond the last row of a like there may be others of the same distance.
        horizon = distances[:, -1].min()
        ranked = self._order(np.unique(rows[rows >= 0]))
        return ranked.where(~ranked.is_late & (ranked.distances < horizon))

    def _order(self, rows: RowArray) -> Ranked:
        likes = self._scores.nearest(rows, self._likes)
        dislikes = self._scores.nearest(rows, self._dislikes)
        is_late = ~(likes < dislikes)
        costs = np.where(is_late, -dislikes, likes)
        distances = likes if len(self._likes) else dislikes
        order = np.lexsort((rows, costs, is_late))
        return Ranked(rows[order], distances[order], costs[order], is_late[order])


class Scores:
    """Distances between rows and vectors, to the same bits as the search has them.

    Parameters
    ----------
    rows : Rows
    metric : str
    """

    def __init__(self, rows: Rows, metric: str) -> None:
        self._rows = rows
        self._metric = METRICS[metric]

    def nearest(self, rows: RowArray, vectors: FloatArray) -> Float64Array:
        """Return the distance of each row to the nearest of the vectors; infinity without any."""
        if not len(vectors):
            return np.full(len(rows), np.inf)
        found = np.empty(len(rows))
        prepared = self._metric.prepare(vectors)
        step = max(1, _ELEMENTS // vectors.shape[1])
        for start in range(0, len(rows), step):
            part = self._rows.take(rows[start : start + step])
            best = np.full(len(part), np.inf)
            for vector in prepared:
                np.minimum(best, self._metric.distances(part, vector[np.newaxis]), out=best)
            found[start : start + step] = best
        return found

    def to_row(self, rows: RowArray, row: int) -> Float64Array:
        """Return the distance of each row to one of them."""
        return self.nearest(rows, self._rows.take(np.array([row], np.int64)))


def _ranked(rows: RowArray, distances: Float64Array) -> Ranked:
    return Ranked(rows, distances, distances, np.zeros(len(rows), np.bool_))
