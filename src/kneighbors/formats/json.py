"""``application/json``: a bare array as ``application/x-npy`` has it, or an object that says more.

::

    [0.1, 0.2]                                  ->  [[d, d], [i, i]]
    [[0.1, 0.2], [0.3, 0.4]]                    ->  [[[d, d], [d, d]], [[i, i], [i, i]]]
    {"instances": [[0.1, 0.2]], "k": 5}         ->  {"predictions": [{"distances": ...}]}
    {"ids": ["a"], "parameters": {"k": 5}}      ->  the same
    {"like": ["a"], "dislike": ["b"], "k": 5}   ->  the same
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from kneighbors.errors import BodyRefused
from kneighbors.formats.answer import Answer
from kneighbors.formats.limits import Limits
from kneighbors.formats.media import MediaType
from kneighbors.formats.parameters import NAMES, join, read_parameters
from kneighbors.formats.records import (
    RECORD_FIELDS,
    read_id,
    read_matrix,
    read_records,
    read_vector,
)
from kneighbors.formats.request import Payload
from kneighbors.formats.strictjson import Oddity, parse
from kneighbors.formats.text import decode_text, did_you_mean, shown
from kneighbors.formats.wishes import WISH_FIELDS, read_queries, read_wish

_QUERY_FIELDS = ("instances", "ids", *RECORD_FIELDS)
_FIELDS = (*_QUERY_FIELDS, *WISH_FIELDS, *NAMES, "parameters")

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ASCII_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def decode(body: bytes, media: MediaType, limits: Limits) -> Payload:
    """Return the queries of a body, and the parameters in it.

    Raises
    ------
    BodyRefused, ParameterRefused
        With the codes that `docs/reference/wire-format.md` lists; each names the JSON path.

    Examples
    --------
    >>> decode(b"[0.5, 1]", MediaType("application/json"), Limits()).vectors
    array([[0.5, 1. ]])
    """
    value = parse(decode_text(body, media.parameters.get("charset")))
    if type(value) is list:
        return _read_array(value, limits)
    if type(value) is dict:
        return _read_object(value, limits)
    if isinstance(value, Oddity):
        value.refuse("$")
    raise BodyRefused(
        "body-type", f"Expected an array or an object, got {shown(value)}.", where="$"
    )


def _read_array(values: list[Any], limits: Limits) -> Payload:
    _check_any(values, "$")
    if type(values[0]) is not list:
        if type(values[0]) is dict:
            raise BodyRefused(
                "body-type",
                "Expected a number or a list, got an object.",
                where="$[0]",
                hint='Put objects into {"instances": [...]}.',
            )
        return Payload(vectors=read_vector(values, "$").reshape(1, -1), single=True)
    _check_rows(values, "$", limits)
    for number, row in enumerate(values):
        if type(row) is not list:
            raise BodyRefused(
                "body-type",
                f"Expected a list of numbers, as the first is, got {shown(row)}.",
                where=f"$[{number}]",
            )
    return Payload(vectors=read_matrix(values, lambda number: f"$[{number}]"))


def _read_object(fields: dict[str, Any], limits: Limits) -> Payload:
    for name in fields:
        if name not in _FIELDS:
            raise BodyRefused(
                "body-field-unknown",
                f"Expected known fields, got {shown(name)}.",
                where="$",
                hint=did_you_mean(name, _FIELDS),
            )
    given = _read_parameters(fields, limits)
    present = [name for name in _QUERY_FIELDS if name in fields]
    wished = {name: fields[name] for name in WISH_FIELDS if name in fields}
    if wished and not present:
        wish = read_wish(wished, "$", limits)
        return Payload(wishes=[wish], single=True, shape="object", given=given)
    if len(present) != 1 or wished:
        present += wished
        raise BodyRefused(
            "body-field-conflict" if present else "body-field-missing",
            f"Expected one of the fields {', '.join((*_QUERY_FIELDS, *WISH_FIELDS))}, got "
            f"{' and '.join(present) or 'none'}.",
            where="$",
        )
    name = present[0]
    if name in RECORD_FIELDS:
        vectors, ids = read_records([{name: fields[name]}], lambda number: "$", limits)
        return Payload(vectors=vectors, ids=ids, single=True, shape="object", given=given)
    path = f"$.{name}"
    values = fields[name]
    if isinstance(values, Oddity):
        values.refuse(path)
    if type(values) is not list:
        raise BodyRefused(
            "body-type", f"Expected a list of queries, got {shown(values)}.", where=path
        )
    _check_any(values, path)
    if name == "ids":
        _check_rows(values, path, limits)
        ids = [read_id(one, f"{path}[{number}]", limits) for number, one in enumerate(values)]
        return Payload(ids=ids, shape="object", given=given)
    if type(values[0]) in (float, int):
        raise BodyRefused(
            "body-type",
            "Expected a list of queries, got a list of numbers.",
            where=path,
            hint='Put one vector into a list of its own: {"instances": [[...]]}.',
        )
    _check_rows(values, path, limits)
    queries = read_queries(values, lambda number: f"{path}[{number}]", limits)
    return Payload(*queries, shape="object", given=given)


def _read_parameters(fields: dict[str, Any], limits: Limits) -> dict[str, Any]:
    given = read_parameters(
        [(name, value) for name, value in fields.items() if name in NAMES], "$", limits
    )
    if "parameters" not in fields:
        return given
    path = "$.parameters"
    nested = fields["parameters"]
    if isinstance(nested, Oddity):
        nested.refuse(path)
    if type(nested) is not dict:
        raise BodyRefused("body-type", f"Expected an object, got {shown(nested)}.", where=path)
    return join(given, read_parameters(nested.items(), path, limits), path)


def _check_any(values: list[Any], path: str) -> None:
    if not values:
        raise BodyRefused(
            "body-no-queries", "Expected at least one query, got an empty list.", where=path
        )


def _check_rows(values: list[Any], path: str, limits: Limits) -> None:
    if len(values) > limits.max_rows:
        raise BodyRefused(
            "rows-too-many",
            f"Expected at most {limits.max_rows} queries, got {len(values)}.",
            where=path,
            hint="Send them in several requests.",
        )


def encode(answer: Answer, parameters: dict[str, str]) -> bytes:
    """Return the answer as its shape says: nested arrays, or objects under ``predictions``."""
    if answer.shape == "object":
        return dump({"predictions": predictions(answer)})
    distances, indices = _lists(answer.distances), _lists(answer.indices)
    return dump([distances[0], indices[0]] if answer.single else [distances, indices])


def predictions(answer: Answer) -> list[dict[str, Any]]:
    """Return one object for each query.

    ``approximate`` is there, and true, where nearer rows may have been missed, ``missing_rows``
    where some could not be searched; ``n_found`` and ``reason`` are there where a query has fewer
    neighbours than it asked for.
    """
    found: list[dict[str, Any]] = []
    distances, indices = _lists(answer.distances), _lists(answer.indices)
    for number in range(len(answer)):
        one: dict[str, Any] = {"distances": distances[number], "indices": indices[number]}
        one["ids"] = indices[number] if answer.ids is None else answer.ids[number]
        if answer.items is not None:
            one["items"] = answer.items[number]
        if answer.approximate:
            one["approximate"] = True
        if answer.missing is not None and answer.missing[number]:
            one["missing_rows"] = answer.missing[number]
        if answer.reasons is not None and answer.reasons[number] is not None:
            one["n_found"] = len(distances[number])
            one["reason"] = answer.reasons[number]
            if answer.details is not None and answer.details[number] is not None:
                one["detail"] = answer.details[number]
        if answer.explanations is not None:
            one["explanations"] = answer.explanations[number]
        found.append(one)
    return found


def dump(value: Any) -> bytes:
    """Return a value as JSON in UTF-8; floats in the shortest form that reads back the same.

    Numbers that JSON does not know (an attribute may be NaN) become null.

    Examples
    --------
    >>> dump({"price": [0.1, float("nan")]})
    b'{"price":[0.1,null]}'
    """
    try:
        return _encoded(value)
    except ValueError:
        return _encoded(_without_nan(value))


def _encoded(value: Any) -> bytes:
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        return _ASCII_ENCODER.encode(value).encode()


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(one) for one in value]
    return value


def _lists(arrays: Any) -> list[Any]:
    if isinstance(arrays, np.ndarray):
        return list(arrays.tolist())
    return [array.tolist() for array in arrays]
