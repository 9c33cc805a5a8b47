"""What a body means, read with other code than the package's: strictly, slowly, and simply.

`check_request` is the oracle of the fuzz tests. Whatever the package accepts must be acceptable
here too, and be the same numbers to the last bit.
"""

from __future__ import annotations

import io
import json
import math
import re
from typing import Any

import numpy as np

from kneighbors.formats import CSV, JSONLINES, NPY, Request

_FIELD = re.compile(r"[ \t]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*")
_RECORD_NAMES = {"features", "instance", "data", "id"}
_WISH_NAMES = {"like", "dislike", "terms"}


class Unacceptable(AssertionError):
    """A body that should have been refused."""


def check_request(body: bytes, content_type: str, request: Request) -> None:
    """Assert that a body which was accepted means what it was taken for.

    Raises
    ------
    AssertionError
    """
    vectors = request.vectors
    if vectors is not None:
        assert vectors.ndim == 2
        assert vectors.dtype in (np.float32, np.float64)
        assert vectors.dtype.isnative
        assert vectors.flags.c_contiguous
        assert len(vectors) > 0  # that they have a width, the gate sees to
    if content_type == NPY:
        assert vectors is not None
        expected = npy_matrix(body)
        assert expected.shape == vectors.shape
        np.testing.assert_array_equal(expected.astype(vectors.dtype), vectors)
        return
    if content_type == CSV:
        kind, values = "vectors", list[Any](csv_rows(body))
    elif content_type == JSONLINES:
        kind, values = json_records([strict_json(line) for line in lines_of(body)])
    else:
        kind, values = json_queries(strict_json(body.decode("utf-8")), request)
    assert kind == _kind_of(request)
    if kind == "vectors":
        assert vectors is not None
        assert vectors.dtype == np.float64
        assert np.isfinite(vectors).all()
        assert values == vectors.tolist()
    elif kind == "ids":
        assert values == request.ids
    else:
        assert len(values) == len(request.wishes or [])


def _kind_of(request: Request) -> str:
    given = {"vectors": request.vectors, "ids": request.ids, "wishes": request.wishes}
    (kind,) = (name for name, value in given.items() if value is not None)
    return kind


def npy_matrix(body: bytes) -> Any:
    """Return what numpy's own reader makes of a body, all of it, as a matrix."""
    file = io.BytesIO(body)
    array = np.lib.format.read_array(file, allow_pickle=False)
    if file.read(1):
        raise Unacceptable("bytes after the array")
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
        raise Unacceptable(f"{array.dtype} of {array.ndim} dimensions")
    return np.atleast_2d(array)


def lines_of(body: bytes) -> list[str]:
    """Return the lines of a body, without their ends."""
    return body.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")


def csv_rows(body: bytes) -> list[list[float]]:
    """Return the numbers of a body's lines."""
    rows = []
    for line in lines_of(body):
        fields = line.split(",")
        if not all(map(_FIELD.fullmatch, fields)):
            raise Unacceptable(f"no numbers: {line[:100]!r}")
        rows.append([_finite(float(field)) for field in fields])
    return _rectangle(rows)


def strict_json(text: str) -> Any:
    """Return the value of a text that is JSON by RFC 8259, with each name once."""

    def refuse(word: str) -> Any:
        raise Unacceptable(f"{word} is no JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise Unacceptable("a name comes twice")
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=once)


def json_queries(value: Any, request: Request) -> tuple[str, list[Any]]:
    """Return the kind of the queries of a document, and the queries."""
    if isinstance(value, list):
        rows = value if isinstance(value[0], list) else [value]
        return "vectors", _rectangle([_vector(row) for row in rows])
    _check_parameters(value, request)
    if "instances" in value:
        return json_records(value["instances"])
    if "ids" in value:
        return "ids", [_id(one) for one in value["ids"]]
    if _WISH_NAMES & set(value):
        return "wishes", [value]
    (name,) = _RECORD_NAMES & set(value)
    return json_records([{name: value[name]}])


def json_records(records: list[Any]) -> tuple[str, list[Any]]:
    """Return the kind of a list of records, and what they hold."""
    if any(isinstance(one, dict) and _WISH_NAMES & set(one) for one in records):
        if not all(isinstance(one, dict) and set(one) <= _WISH_NAMES for one in records):
            raise Unacceptable("queries of two kinds")
        return "wishes", records
    if any(isinstance(one, dict) and "id" in one for one in records):
        return "ids", [_id(_only(one, "id")) for one in records]
    return "vectors", _rectangle([_vector(_unwrapped(one)) for one in records])


def _check_parameters(fields: dict[str, Any], request: Request) -> None:
    for given in (fields, fields.get("parameters", {})):
        for name in {"k", "n_neighbors"} & set(given):
            assert type(given[name]) is int
            assert given[name] == request.parameters.n_neighbors
        if "radius" in given:
            assert float(given["radius"]) == request.parameters.radius
        if "exclude_self" in given:
            assert given["exclude_self"] is request.parameters.exclude_self


def _unwrapped(record: Any) -> Any:
    if isinstance(record, list):
        return record
    (name,) = record
    inner = record[name]
    if name == "data":
        inner = _only(inner, "features")
    elif name not in ("features", "instance"):
        raise Unacceptable(f"the field {name!r}")
    return inner if isinstance(inner, list) else _only(inner, "values")


def _only(value: Any, name: str) -> Any:
    if not isinstance(value, dict) or list(value) != [name]:
        raise Unacceptable(f"no object with the field {name} alone")
    return value[name]


def _id(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Unacceptable("no id")
    if isinstance(value, str):
        value.encode()
    return value


def _vector(values: Any) -> list[float]:
    if not isinstance(values, list) or any(type(one) not in (int, float) for one in values):
        raise Unacceptable("no list of numbers")
    return [_finite(float(one)) for one in values]


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise Unacceptable("a number beyond float64")
    return number


def _rectangle(rows: list[list[float]]) -> list[list[float]]:
    if len({len(row) for row in rows}) != 1:
        raise Unacceptable("no rows, or rows of different lengths")
    return rows
