"""What the client sends and reads: queries to bodies and headers, answers to arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.client.connection import HttpAnswer
from kneighbors.errors import ArrayRefused, BodyRefused, ParameterRefused, ServiceError
from kneighbors.formats import Example, Limits
from kneighbors.formats.npy import read_array
from kneighbors.recommend import Neighbors, Wanted
from kneighbors.recommend.arguments import Likes, wish_of
from kneighbors.recommend.arguments import plain as plain_value
from kneighbors.search.gate import check_queries
from kneighbors.search.rows import FloatArray

Float64Array = NDArray[np.float64]
RowArray = NDArray[np.int64]
Arrays = tuple[Float64Array, RowArray]
Id = str | int

_IDS = frozenset({"exclude_ids", "include_ids"})


def as_queries(Q: Any) -> tuple[FloatArray, bool]:
    """Return queries as a matrix of finite numbers, and whether a lone vector came.

    Raises
    ------
    ArrayRefused
        As `kneighbors.search.gate.check_queries` raises it.
    """
    try:
        array = np.asarray(Q)
    except (ValueError, TypeError) as error:
        raise ArrayRefused("array-ragged", f"Expected rows of equal length: {error}") from error
    single = array.ndim == 1
    matrix = array.reshape(1, -1) if single else array
    # The server knows the width and the metric; here it has to be a matrix of finite numbers.
    width = matrix.shape[1] if matrix.ndim == 2 else 0
    return check_queries(matrix, width, "any metric"), single


def attributes(n_neighbors: int | None, exclude_ids: Sequence[Id]) -> str:
    """Return the parameters as the header X-Amzn-SageMaker-Custom-Attributes has them."""
    parts = [] if n_neighbors is None else [f"n_neighbors={int(n_neighbors)}"]
    if len(exclude_ids):
        # Semicolons divide the parameters of the header.
        parts.append("exclude_ids=" + json.dumps(plain(exclude_ids)).replace(";", "\\u003b"))
    return ";".join(parts)


def plain(ids: Sequence[Id]) -> list[Any]:
    """Return ids as JSON can hold them: the integers of numpy are none of its own.

    Raises
    ------
    ParameterRefused
        With code ``ids-type``, for a lone text, which is a sequence of its letters.
    """
    if isinstance(ids, str):
        raise ParameterRefused("ids-type", f"Expected a sequence of ids, got the text {ids!r}.")
    values: list[Any] = list(ids)
    return [int(one) if isinstance(one, np.integer) else one for one in values]


def parameters(wanted: Wanted) -> dict[str, Any]:
    """Return what is asked of a query as JSON has it; what says nothing is left away.

    Raises
    ------
    ParameterRefused
        As `plain`.
    """
    said: dict[str, Any] = {}
    for name, value in wanted.items():
        if name in _IDS and value is not None:
            value = plain(value)  # type: ignore[arg-type]
        value = plain_value(value)
        if value is not None and value is not False and value != []:
            said[name] = value
    if wanted.get("exclude_self") is False:  # by example, that is something to say
        said["exclude_self"] = False
    if wanted.get("include_ids") is not None:  # none at all, too
        said.setdefault("include_ids", [])
    return said


def wish(like: Likes, dislike: Likes, terms: Sequence[str]) -> dict[str, Any]:
    """Return a query by example as JSON has it.

    Raises
    ------
    ParameterRefused, BodyRefused, ArrayRefused
        For weights, ids and vectors that no server would take.
    """
    found = wish_of(like, dislike, (), Limits())
    fields = {"like": [_example(one) for one in found.like]}
    return fields | {"dislike": [_example(one) for one in found.dislike], "terms": plain(terms)}


def _example(example: Example) -> dict[str, Any]:
    query = (
        {"id": example.id} if example.vector is None else {"vector": plain_value(example.vector)}
    )
    return query if example.weight == 1.0 else query | {"weight": example.weight}


def read_arrays(answer: HttpAnswer, n_queries: int) -> Arrays:
    """Return distances and indices of an answer in ``application/x-npy``.

    Raises
    ------
    ServiceError
        With code ``service-answer``.
    """
    try:
        array = read_array(answer.body, dimensions=(3,))
    except BodyRefused as error:
        raise _unreadable(answer) from error
    if array.shape[:2] != (2, n_queries) or array.dtype != np.float64:
        raise _unreadable(answer)
    return array[0], array[1].astype(np.int64)


def read_predictions(answer: HttpAnswer, n_queries: int) -> list[Neighbors]:
    """Return the neighbours of each query of an answer in JSON.

    Raises
    ------
    ServiceError
        With code ``service-answer``.
    """
    try:
        found = [_neighbors(one) for one in json.loads(answer.body)["predictions"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _unreadable(answer) from error
    if len(found) != n_queries:
        raise _unreadable(answer)
    return found


def stacked(found: list[Neighbors]) -> Arrays:
    """Return distances and indices of several queries as matrices.

    Raises
    ------
    ServiceError
        With code ``accept-ragged``, as the server refuses the same: where a query found fewer
        neighbours than it asked for.
    """
    if len({len(one) for one in found}) > 1 or any(one.reason for one in found):
        raise ServiceError(
            "accept-ragged",
            "Expected as many neighbours for each query as were asked for, got fewer.",
            hint="Use query(), which returns a list.",
        )
    return np.stack([one.distances for one in found]), np.stack([one.indices for one in found])


def _neighbors(one: dict[str, Any]) -> Neighbors:
    return Neighbors(
        np.array(one["distances"], dtype=np.float64),
        np.array(one["indices"], dtype=np.int64),
        list(one["ids"]),
        one.get("items"),
        one.get("reason"),
        one.get("detail"),
        one.get("explanations"),
        [(int(first), int(last)) for first, last in one.get("missing_rows", ())] or None,
    )


def _unreadable(answer: HttpAnswer) -> ServiceError:
    return ServiceError(
        "service-answer",
        f"Expected neighbours of each query, got {len(answer.body)} bytes of "
        f"{answer.content_type or 'no type'} that are none.",
    )
