"""From candidates to answers: copies folded, groups kept small, unlike ones preferred.

`docs/reference/recommend.md` has the rules. The search is widened until there are enough answers
or no more rows: rows of a group that is full are not looked for again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kneighbors.recommend.candidates import Candidates, Ranked, Scores
from kneighbors.search.rows import RowArray

BoolArray = NDArray[np.bool_]
Float64Array = NDArray[np.float64]

#: Candidates among which diversity chooses: so many for each answer, and at least so many.
POOL_PER_ANSWER, SMALLEST_POOL = 4, 100
_WIDER = 4


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What is done with candidates besides taking the nearest.

    Parameters
    ----------
    min_distance : float, optional
    fold_within : float, optional
    groups : ndarray of shape (n_samples,), dtype int64, optional
        The group of each row; negative is a row without one.
    max_per_group : int, default=1
    diversity : float, default=0.0
    """

    min_distance: float | None = None
    fold_within: float | None = None
    groups: NDArray[np.int64] | None = None
    max_per_group: int = 1
    diversity: float = 0.0

    def n_wanted(self, n_neighbors: int | None, n_samples: int) -> int:
        """Return how many candidates are to be chosen from."""
        if n_neighbors is None:
            return n_samples
        return pool_of(n_neighbors) if self.diversity else n_neighbors


def pool_of(n_neighbors: int) -> int:
    """Return among how many candidates diversity chooses so many answers."""
    return max(POOL_PER_ANSWER * n_neighbors, SMALLEST_POOL)


class Chosen(NamedTuple):
    """The answers to one query, and why there are no more."""

    rows: RowArray
    distances: Float64Array
    shortage: str | None
    """``"group"``, ``"folded"``, ``"min_distance"``, ``"radius"``; None: no more rows allowed."""


def choose(
    candidates: Candidates,
    mask: BoolArray,
    n_neighbors: int | None,
    radius: float | None,
    choice: Choice,
    scores: Scores,
) -> Chosen:
    """Return the answers to one query.

    Parameters
    ----------
    candidates : Candidates
    mask : ndarray of shape (n_samples,), dtype bool
        Rows that may be answers.
    n_neighbors : int or None
        None takes all within the radius.
    radius : float, optional
    choice : Choice
    scores : Scores
        For the distances between candidates.
    """
    window = _not_too_near(candidates, mask, choice.min_distance)
    beyond = np.zeros(len(mask), np.bool_)
    if radius is not None and not candidates.ascend:
        beyond = _beyond(candidates, mask, radius)
    walk = Walk(choice, scores, choice.n_wanted(n_neighbors, len(mask)))
    beyond |= walk.through(candidates, window & ~beyond, radius)
    taken = walk.taken()
    shortage = None
    if n_neighbors is not None and len(taken) < n_neighbors:
        shortage = walk.shortage(window & ~beyond)
        if shortage is None and window.sum() < mask.sum():
            shortage = "min_distance"
        if shortage is None and beyond.any():
            shortage = "radius"
    if choice.diversity and n_neighbors is not None:
        taken = diverse(taken, n_neighbors, choice.diversity, scores)
    return Chosen(taken.rows, taken.distances, shortage)


def diverse(pool: Ranked, count: int, diversity: float, scores: Scores) -> Ranked:
    """Return `count` of a pool by maximal marginal relevance.

    Each next one is that with the smallest ``(1 - diversity) * cost - diversity * gap``, the gap
    being its distance to the nearest of those chosen before, 0 at first. Equal ones are taken in
    the pool's order, and those of the second class only after the first.

    Notes
    -----
    J. Carbonell and J. Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering
    Documents and Producing Summaries", SIGIR 1998. O(count * len(pool) * n_features).
    """
    gaps = np.zeros(len(pool))
    left = np.ones(len(pool), np.bool_)
    order: list[int] = []
    while left.any() and len(order) < count:
        worth = (1.0 - diversity) * pool.costs - diversity * gaps
        open_ = left & ~pool.is_late if (left & ~pool.is_late).any() else left
        best = int(np.argmin(np.where(open_, worth, np.inf)))
        distances = scores.to_row(pool.rows, int(pool.rows[best]))
        gaps = np.minimum(gaps, distances) if order else distances
        order.append(best)
        left[best] = False
    places = np.array(order, dtype=np.int64)
    return Ranked(
        pool.rows[places], pool.distances[places], pool.costs[places], pool.is_late[places]
    )


class Walk:
    """One pass through the candidates, which takes those that no rule turns away.

    Parameters
    ----------
    choice : Choice
    scores : Scores
    n_wanted : int
        How many to take.
    """

    def __init__(self, choice: Choice, scores: Scores, n_wanted: int) -> None:
        self._choice = choice
        self._scores = scores
        self._n_wanted = n_wanted
        self._parts: list[Ranked] = []
        self._rows: list[int] = []
        self._in_group: dict[int, int] = {}

    def taken(self) -> Ranked:
        """Return what was taken, in order."""
        parts = self._parts
        return Ranked(
            np.concatenate([np.empty(0, np.int64), *(part.rows for part in parts)]),
            np.concatenate([np.empty(0), *(part.distances for part in parts)]),
            np.concatenate([np.empty(0), *(part.costs for part in parts)]),
            np.concatenate([np.empty(0, np.bool_), *(part.is_late for part in parts)]),
        )

    def through(self, candidates: Candidates, window: BoolArray, radius: float | None) -> BoolArray:
        """Take candidates until there are enough or no more; return which lie beyond the radius.

        What lies beyond is known completely where too few were taken.
        """
        unseen = window.copy()
        beyond = np.zeros(len(window), np.bool_)
        size = self._n_wanted
        while len(self._rows) < self._n_wanted:
            searched = unseen & ~self._full(unseen)
            ranked = candidates.first(searched, size)
            if not len(ranked):
                break
            unseen[ranked.rows] = False
            is_last = len(ranked) < size
            if radius is not None:
                far = ranked.distances > radius
                beyond[ranked.rows[far]] = True
                is_last = is_last or bool(far.any())
                ranked = ranked.where(~far)
            self._take(ranked)
            if is_last:
                break
            size = min(size * _WIDER, len(window))
        if radius is not None and len(self._rows) < self._n_wanted:
            beyond |= _beyond(candidates, unseen, radius)
        return beyond

    def shortage(self, window: BoolArray) -> str | None:
        """Return which rule left too few of the rows of a window, None if neither did."""
        if self._choice.groups is not None:
            full = self._full(window)
            full[self._rows] = False
            if full.any():
                return "group"
        return "folded" if int(np.count_nonzero(window)) > len(self._rows) else None

    def _full(self, rows: BoolArray) -> BoolArray:
        """Return which of the rows belong to a group that takes no more."""
        groups, most = self._choice.groups, self._choice.max_per_group
        full = [group for group, count in self._in_group.items() if count >= most]
        if groups is None or not full:
            return np.zeros(len(rows), np.bool_)
        return rows & np.isin(groups, full)

    def _take(self, ranked: Ranked) -> None:
        """Take those of some candidates that no rule turns away, in order."""
        kept = np.zeros(len(ranked), np.bool_)
        turned_away = self._copies_of_taken(ranked)
        groups = self._choice.groups
        for place, row in enumerate(ranked.rows.tolist()):
            if len(self._rows) == self._n_wanted:
                break
            if turned_away[place]:
                continue
            if groups is not None and not self._enters(int(groups[row])):
                continue
            kept[place] = True
            self._rows.append(row)
            if self._choice.fold_within is not None and place + 1 < len(ranked):
                rest = np.flatnonzero(~turned_away[place + 1 :]) + place + 1
                near = self._scores.to_row(ranked.rows[rest], row) <= self._choice.fold_within
                turned_away[rest[near]] = True
        self._parts.append(ranked.where(kept))

    def _copies_of_taken(self, ranked: Ranked) -> BoolArray:
        copies = np.zeros(len(ranked), np.bool_)
        if self._choice.fold_within is not None:
            for row in self._rows:
                rest = np.flatnonzero(~copies)
                near = self._scores.to_row(ranked.rows[rest], row) <= self._choice.fold_within
                copies[rest[near]] = True
        return copies

    def _enters(self, group: int) -> bool:
        if group < 0:
            return True
        count = self._in_group.get(group, 0)
        if count >= self._choice.max_per_group:
            return False
        self._in_group[group] = count + 1
        return True


def _beyond(candidates: Candidates, mask: BoolArray, radius: float) -> BoolArray:
    beyond = mask.copy()
    beyond[candidates.nearer_than(mask, float(np.nextafter(radius, np.inf)))] = False
    return beyond


def _not_too_near(candidates: Candidates, mask: BoolArray, min_distance: float | None) -> BoolArray:
    if min_distance is None:
        return mask
    window = mask.copy()
    window[candidates.nearer_than(mask, min_distance)] = False
    return window
