"""From what was found to bytes: the format that can carry it, ids and attributes joined to rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from kneighbors.errors import BodyRefused
from kneighbors.formats import JSON, JSONLINES, Accepted, Answer, Limits, encode, negotiate
from kneighbors.items import Catalog
from kneighbors.recommend.candidates import Scores
from kneighbors.recommend.explaining import Explainer
from kneighbors.recommend.query import Found, Query
from kneighbors.recommend.reachable import united
from kneighbors.sagemaker.query import Reply

if TYPE_CHECKING:
    from kneighbors.search.graph_opening import Index

_NOTHING: frozenset[str] = frozenset()
_RAGGED, _ITEMS = frozenset({"ragged"}), frozenset({"items"})
#: Formats of arrays have no place to say it.
_APPROXIMATE: tuple[tuple[str, str], ...] = (("X-Kneighbors-Approximate", "true"),)
T = TypeVar("T")


def accepted_format(query: Query, *, ragged: bool) -> Accepted:
    """Return the format of the answer to a query, or refuse if there is none.

    Raises
    ------
    BodyRefused
        As `kneighbors.formats.negotiate` raises it.
    """
    needs = _RAGGED if ragged else _NOTHING
    if query.include_items is not False or query.explain:
        needs |= _ITEMS
    return negotiate(query.accept, query.source, needs)


def write(query: Query, found: Found, index: Index, catalog: Catalog, limits: Limits) -> Reply:
    """Return the answer to a query as bytes.

    Raises
    ------
    BodyRefused
        With code ``accept-ragged``, where a query found fewer neighbours than it asked for and the
        format that was asked for has no place for that; ``answer-too-large``, where a radius holds
        more neighbours than may come with their attributes.
    """
    accepted = accepted_format(query, ragged=not isinstance(found.indices, np.ndarray))
    answer = Answer(
        found.distances,
        found.indices,
        reasons=found.reasons,
        missing=found.missing,
        # A radius alone is answered exactly by every engine.
        approximate=not index.is_exact and query.n_neighbors is not None,
        single=query.single,
        shape=query.shape,
    )
    if accepted.name == JSONLINES or (accepted.name == JSON and query.shape == "object"):
        answer = _with_ids(answer, query, catalog, limits)
        if query.explain and query.tastes is not None:
            explainer = Explainer(catalog, Scores(index.rows, index.metric))
            rows = (np.asarray(one, np.int64) for one in found.indices)
            told = [explainer.of(*pair) for pair in zip(rows, query.tastes, strict=True)]
            answer = replace(answer, explanations=told)
        answer = replace(answer, details=_details(query, found))
    body, content_type = encode(answer, accepted)
    headers = _APPROXIMATE if answer.approximate else ()
    if found.missing is not None:
        headers += (("X-Kneighbors-Partial", _ranges(found)),)
    is_partial = found.missing is not None
    return Reply(body, content_type, len(query), headers=headers, is_partial=is_partial)


def _ranges(found: Found) -> str:
    """Return the rows that any of the queries went without, as text."""
    ranges = united(one for ranges in found.missing or () for one in ranges)
    return ", ".join(f"{first}-{last}" for first, last in ranges)


def _with_ids(answer: Answer, query: Query, catalog: Catalog, limits: Limits) -> Answer:
    counts = [len(row) for row in answer.indices]
    rows = np.concatenate(list(answer.indices))
    ids = _split(catalog.ids_of(rows), counts)
    if query.include_items is False:
        return replace(answer, ids=ids)
    if len(rows) > limits.max_items:  # a radius is not known to be too wide before
        raise BodyRefused(
            "answer-too-large",
            f"Expected at most {limits.max_items} neighbours with attributes, got {len(rows)}.",
            hint="Give n_neighbors as well, or a smaller radius.",
        )
    columns = None if query.include_items is True else query.include_items
    return replace(answer, ids=ids, items=_split(catalog.attributes_of(rows, columns), counts))


def _details(query: Query, found: Found) -> list[str | None] | None:
    """Return what the filter says where it leaves no row."""
    if query.allowed is None or found.reasons is None or "filter" not in found.reasons:
        return None
    detail = query.allowed.detail()
    return [detail if reason == "filter" else None for reason in found.reasons]


def _split(values: Sequence[T], counts: Sequence[int]) -> list[list[T]]:
    ends = list(accumulate(counts, initial=0))
    return [list(values[start:stop]) for start, stop in pairwise(ends)]
