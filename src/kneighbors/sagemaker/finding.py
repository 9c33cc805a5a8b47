"""From checked queries to neighbours: joining requests, the radius, and who has too few."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from kneighbors.errors import BodyRefused
from kneighbors.formats import Limits
from kneighbors.sagemaker.query import Float64Array, Found, Query, RowArray

if TYPE_CHECKING:
    from kneighbors.search.index import ExactIndex

# A radius may hold the whole corpus: this bounds what one step of such a search can return to
# some 50 MiB, before it is seen to be too much.
_MOST_WITHIN = 1 << 20
_NO_ROWS: RowArray = np.empty(0, dtype=np.int64)


def find(index: ExactIndex, queries: Sequence[Query], limits: Limits) -> list[Found]:
    """Return what each query finds, searching as few times as possible.

    Parameters
    ----------
    index : ExactIndex
    queries : sequence of Query
        Those that ask for the same number of neighbours are searched for together; the answers
        are the same as those of each alone.
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
    together: dict[int, list[int]] = defaultdict(list)
    for place, query in enumerate(queries):
        if query.n_neighbors is not None:
            together[query.n_neighbors].append(place)
        elif query.radius is not None:
            found[place] = _within(index, query, query.radius, limits)
    for n_neighbors, places in together.items():
        group = [queries[place] for place in places]
        distances, indices = _joined(index, group, n_neighbors)
        start = 0
        for place, query in zip(places, group, strict=True):
            stop = start + len(query)
            found[place] = _cut(query, n_neighbors, distances[start:stop], indices[start:stop])
            start = stop
    return [found[place] for place in range(len(queries))]


def _joined(
    index: ExactIndex, group: list[Query], n_neighbors: int
) -> tuple[Float64Array, RowArray]:
    exclude = None
    if any(query.exclude is not None for query in group):
        exclude = list(chain.from_iterable(q.exclude or [_NO_ROWS] * len(q) for q in group))
    vectors = group[0].vectors if len(group) == 1 else np.concatenate([q.vectors for q in group])
    return index.kneighbors(vectors, n_neighbors, exclude=exclude)


def _cut(query: Query, n_neighbors: int, distances: Float64Array, indices: RowArray) -> Found:
    """Take away what is no neighbour: padding, and what lies beyond the radius."""
    if query.exclude is None and query.radius is None:
        return Found(distances, indices)
    real = indices >= 0
    near = real if query.radius is None else real & (distances <= query.radius)
    if query.radius is None and near.all():
        return Found(distances, indices)
    counts = near.sum(axis=1).tolist()
    remaining = real.sum(axis=1).tolist()
    reasons: list[str | None] = [
        _reason(count, left, n_neighbors) for count, left in zip(counts, remaining, strict=True)
    ]
    return Found(
        [row[:count] for row, count in zip(distances, counts, strict=True)],
        [row[:count] for row, count in zip(indices, counts, strict=True)],
        reasons,
    )


def _reason(count: int, remaining: int, n_neighbors: int) -> str | None:
    if count == n_neighbors:
        return None
    return "radius" if count < remaining else "excluded"


def _within(index: ExactIndex, query: Query, radius: float, limits: Limits) -> Found:
    distances: list[Float64Array] = []
    indices: list[RowArray] = []
    total = 0
    step = max(1, _MOST_WITHIN // index.n_samples)
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        exclude = None if query.exclude is None else query.exclude[part]
        near, rows = index.radius_neighbors(query.vectors[part], radius, exclude=exclude)
        most = max(map(len, rows))
        total += sum(map(len, rows))
        if most > limits.max_neighbors or total > limits.max_answers:
            raise BodyRefused(
                "answer-too-large",
                f"Expected at most {limits.max_neighbors} neighbours of a query within the radius "
                f"{radius:g} and {limits.max_answers} in all, got {most} and {total}.",
                hint="Give n_neighbors as well, or a smaller radius.",
            )
        distances.extend(near)
        indices.extend(rows)
    return Found(distances, indices)
