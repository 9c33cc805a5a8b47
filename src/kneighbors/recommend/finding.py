"""From checked queries to neighbours: joining requests, the radius, and who has too few."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from kneighbors.errors import BodyRefused
from kneighbors.formats import Limits
from kneighbors.recommend.candidates import Candidates, EachByItself, NearestToVector, Scores
from kneighbors.recommend.choosing import Choice, choose
from kneighbors.recommend.query import Float64Array, Found, Query, Ranges, RowArray
from kneighbors.recommend.reachable import UNAVAILABLE, Reachable, none_if_complete

if TYPE_CHECKING:
    from kneighbors.search.graph_opening import Index

# A radius may hold the whole corpus: this bounds what one step of such a search can return to
# some 50 MiB, before it is seen to be too much.
_MOST_WITHIN = 1 << 20
_NO_ROWS: RowArray = np.empty(0, dtype=np.int64)


def find(index: Index, queries: Sequence[Query], limits: Limits) -> list[Found]:
    """Return what each query finds, searching as few times as possible.

    Parameters
    ----------
    index : Index
    queries : sequence of Query
        The plain ones that ask for the same number of neighbours are searched for together, those
        that go on without rows out of reach apart from those that do not; the answers are the
        same as those of each alone.
    limits : Limits
        Bounds what a radius may find.

    Returns
    -------
    list of Found
        In the order of `queries`.

    Raises
    ------
    BodyRefused
        With code ``answer-too-large``, where more neighbours lie within a radius than an answer
        may hold; such a query is better searched for alone.
    """
    found: dict[int, Found] = {}
    together: dict[tuple[int, bool], list[int]] = defaultdict(list)
    for place, query in enumerate(queries):
        if query.is_plain and query.n_neighbors is not None:
            together[query.n_neighbors, query.allow_partial].append(place)
        elif query.choice is not None or query.by_each:
            found[place] = _chosen(index, query, limits)
        elif query.radius is not None:
            found[place] = _within(index, query, query.radius, limits)
    for (n_neighbors, allow_partial), places in together.items():
        group = [queries[place] for place in places]
        reachable = Reachable(index, allow_partial)
        distances, indices = _joined(reachable.index, group, n_neighbors)
        missing = reachable.missing(len(distances))
        start = 0
        for place, query in zip(places, group, strict=True):
            own = slice(start, start + len(query))
            found[place] = _cut(query, n_neighbors, distances[own], indices[own], missing[own])
            start = own.stop
    return [found[place] for place in range(len(queries))]


def _joined(index: Index, group: list[Query], n_neighbors: int) -> tuple[Float64Array, RowArray]:
    exclude = masks = None
    if any(query.exclude is not None for query in group):
        exclude = list(chain.from_iterable(q.exclude or [_NO_ROWS] * len(q) for q in group))
    if any(query.allowed is not None for query in group):
        each = [(None if query.allowed is None else query.allowed.mask) for query in group]
        masks = [mask for mask, query in zip(each, group, strict=True) for _ in range(len(query))]
    vectors = group[0].vectors if len(group) == 1 else np.concatenate([q.vectors for q in group])
    return index.kneighbors(vectors, n_neighbors, exclude=exclude, masks=masks)


def _cut(
    query: Query,
    n_neighbors: int,
    distances: Float64Array,
    indices: RowArray,
    missing: list[Ranges],
) -> Found:
    """Take away what is no neighbour: padding, and what lies beyond the radius."""
    if not query.may_fall_short:
        return Found(distances, indices)
    real = indices >= 0
    near = real if query.radius is None else real & (distances <= query.radius)
    without = none_if_complete(missing)
    if query.radius is None and near.all():
        return Found(distances, indices, missing=without)
    counts = near.sum(axis=1).tolist()
    remaining = real.sum(axis=1).tolist()
    reasons: list[str | None] = [None] * len(query)
    for place, count in enumerate(counts):
        if count < n_neighbors:
            is_cut = count < remaining[place]
            shortage = "radius" if is_cut else None
            reasons[place] = _reason(query, place, shortage, missing[place])
    return Found(
        [row[:count] for row, count in zip(distances, counts, strict=True)],
        [row[:count] for row, count in zip(indices, counts, strict=True)],
        reasons,
        without,
    )


def _reason(query: Query, place: int, shortage: str | None, missing: Ranges) -> str:
    """Return why a query has too few: what was out of reach may have been enough."""
    return UNAVAILABLE if missing else shortage or _shortage(query, place)


def _shortage(query: Query, place: int) -> str:
    """Return why no more rows are allowed."""
    if query.allowed is None:
        return "excluded"
    return query.allowed.shortage(_NO_ROWS if query.exclude is None else query.exclude[place])


def _chosen(index: Index, query: Query, limits: Limits) -> Found:
    """Answer each query of a request by itself."""
    choice = query.choice or Choice()
    scores = Scores(index.rows, index.metric)
    distances: list[Float64Array] = []
    indices: list[RowArray] = []
    reasons: list[str | None] = []
    missing: list[Ranges] = []
    total = 0
    for place in range(len(query)):
        reachable = Reachable(index, query.allow_partial)
        mask = (
            np.ones(index.n_samples, np.bool_)
            if query.allowed is None
            else query.allowed.mask.copy()
        )
        if query.exclude is not None:
            mask[query.exclude[place]] = False
        candidates: Candidates
        if query.by_each and query.tastes is not None:
            candidates = EachByItself(reachable.index, query.tastes[place])
        else:
            candidates = NearestToVector(reachable.index, query.vectors[place])
        found = choose(candidates, mask, query.n_neighbors, query.radius, choice, scores)
        missing.append(reachable.missing_of_all())
        total += len(found.rows)
        if query.n_neighbors is None:
            _check_within(len(found.rows), total, query.radius, limits)
            reasons.append(None)
        elif len(found.rows) < query.n_neighbors:
            reasons.append(_reason(query, place, found.shortage, missing[-1]))
        else:
            reasons.append(None)
        distances.append(found.distances)
        indices.append(found.rows)
    if query.n_neighbors is not None and not any(reasons):
        return Found(np.stack(distances), np.stack(indices), missing=none_if_complete(missing))
    told = reasons if query.n_neighbors is not None else None
    return Found(distances, indices, told, none_if_complete(missing))


def _within(index: Index, query: Query, radius: float, limits: Limits) -> Found:
    distances: list[Float64Array] = []
    indices: list[RowArray] = []
    total = 0
    reachable = Reachable(index, query.allow_partial)
    step = max(1, _MOST_WITHIN // index.n_samples)
    for start in range(0, len(query), step):
        part = query.part(slice(start, start + step))
        masks = None if query.allowed is None else [query.allowed.mask] * len(part)
        near, rows = reachable.index.radius_neighbors(
            part.vectors, radius, exclude=part.exclude, masks=masks
        )
        total += sum(map(len, rows))
        _check_within(max(map(len, rows)), total, radius, limits)
        distances.extend(near)
        indices.extend(rows)
    return Found(distances, indices, missing=none_if_complete(reachable.missing(len(query))))


def _check_within(most: int, total: int, radius: float | None, limits: Limits) -> None:
    if most > limits.max_neighbors or total > limits.max_answers:
        raise BodyRefused(
            "answer-too-large",
            f"Expected at most {limits.max_neighbors} neighbours of a query within the radius "
            f"{radius:g} and {limits.max_answers} in all, got {most} and {total}.",
            hint="Give n_neighbors as well, or a smaller radius.",
        )
