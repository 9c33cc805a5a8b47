"""What several requests find in one search, and what one request finds in several.

It needs neither an event loop nor a framework.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from kneighbors.errors import ClusterError
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Found, Query


def find_each(model: Model, queries: Sequence[Query]) -> list[Found | BaseException]:
    """Return what each request finds, or the error that it alone is to blame for.

    They are searched for together. Where that fails, the halves are tried; where memory is too
    little for one request, the halves of its queries. Where a shard is lost, which is no request's
    fault, those that are left are asked once for all.
    """
    try:
        return [*model.find(queries)]
    except BaseException as error:
        if isinstance(error, ClusterError):
            if len(queries) == 1 or all(query.allow_partial for query in queries):
                return [error] * len(queries)
            return _without_lost(model, queries, error)
        if len(queries) > 1:
            half = len(queries) // 2
            return find_each(model, queries[:half]) + find_each(model, queries[half:])
        (query,) = queries
        if not isinstance(error, MemoryError) or len(query) < 2:
            return [error]
    half = len(query) // 2
    pieces = []
    for piece in (query.part(slice(half)), query.part(slice(half, None))):
        (found,) = find_each(model, [piece])
        if isinstance(found, BaseException):
            return [found]
        pieces.append(found)
    return [joined(pieces)]


def _without_lost(
    model: Model, queries: Sequence[Query], error: ClusterError
) -> list[Found | BaseException]:
    """Return what requests find without lost shards; the error for those that may lack a row.

    Halving would ask the machines that are left twice as often as while all are there.
    """
    every = find_each(model, [replace(query, allow_partial=True) for query in queries])
    return [
        error if isinstance(found, Found) and found.missing and not query.allow_partial else found
        for query, found in zip(queries, every, strict=True)
    ]


def joined(pieces: list[Found]) -> Found:
    """Return what was found piece by piece as what would have been found at once."""
    if len(pieces) == 1:
        return pieces[0]
    distances, indices = [p.distances for p in pieces], [p.indices for p in pieces]
    missing = None
    if any(p.missing for p in pieces):
        missing = _chained(p.missing or [[]] * len(p.indices) for p in pieces)
    if all(isinstance(one, np.ndarray) for one in indices):
        return Found(np.concatenate(distances), np.concatenate(indices), missing=missing)
    reasons = [p.reasons or [None] * len(p.indices) for p in pieces]
    return Found(_chained(distances), _chained(indices), _chained(reasons), missing)


def _chained(lists: Iterable[Iterable[Any]]) -> list[Any]:
    return list(chain.from_iterable(lists))
