"""Queries as lists, objects and ids, as JSON and JSON lines hold them.

One query is a *record*: a list of numbers, or an object that holds one, or an object with an id.

::

    [0.1, 0.2]                              a vector
    {"features": [0.1, 0.2]}                the same; SageMaker's built-in algorithms write it so
    {"features": {"values": [0.1, 0.2]}}
    {"data": {"features": {"values": [0.1, 0.2]}}}
    {"instance": [0.1, 0.2]}
    {"id": "ch-1234"}                       a row of the corpus
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import BodyRefused
from kneighbors.formats.limits import Limits
from kneighbors.formats.request import Id
from kneighbors.formats.strictjson import Oddity
from kneighbors.formats.text import did_you_mean, shown

Float64Array = NDArray[np.float64]

#: Names under which an object holds a query.
RECORD_FIELDS = ("features", "instance", "data", "id")
_NUMBERS = frozenset({float, int})
_ID_BOUND = 1 << 63


def read_vector(values: list[Any], path: str) -> Float64Array:
    """Return a list of numbers as one vector, of shape (n_features,).

    Raises
    ------
    BodyRefused
        With code ``body-type``, ``body-number`` or ``body-nesting``, naming the path of the first
        element at fault.
    """
    vector = _as_array(values)
    if vector is None:
        _refuse_element(values, path)
    return vector


def read_matrix(rows: Sequence[list[Any]], path_of: Callable[[int], str]) -> Float64Array:
    """Return lists of numbers as a matrix of shape (len(rows), n_features).

    Parameters
    ----------
    rows : sequence of list
        At least one.
    path_of : callable
        The path of a row by its number; called only where something is at fault.

    Raises
    ------
    BodyRefused
        As `read_vector`, and with code ``body-ragged``.
    """
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        _refuse_ragged(rows, path_of)
    flat = _as_array(list(chain.from_iterable(rows)))
    if flat is None:
        for number, row in enumerate(rows):
            if _as_array(row) is None:
                _refuse_element(row, path_of(number))
        raise AssertionError("unreachable: one row is at fault")  # pragma: no cover
    return flat.reshape(len(rows), width)


def read_records(
    records: Sequence[Any], path_of: Callable[[int], str], limits: Limits
) -> tuple[Float64Array | None, list[Id] | None]:
    """Return the queries of several records: a matrix, or ids; the other is None.

    Parameters
    ----------
    records : sequence
        At least one record, all vectors or all ids.
    path_of : callable
        The path of a record by its number.
    limits : Limits

    Raises
    ------
    BodyRefused
        As `read_matrix`, and with codes ``body-field-unknown``, ``body-field-missing``,
        ``body-field-conflict`` and ``body-id``.
    """
    if set(map(type, records)) == {list}:
        return read_matrix(records, path_of), None
    found = [_unwrap(record, path_of(number)) for number, record in enumerate(records)]
    by_id = [is_id for is_id, _, _ in found]
    if any(by_id) and not all(by_id):
        odd = by_id.index(not by_id[0])
        raise BodyRefused(
            "body-field-conflict",
            f"Expected all queries to be {'ids' if by_id[0] else 'vectors'}, as the first is, got "
            f"{'a vector' if by_id[0] else 'an id'}.",
            where=path_of(odd),
            hint="Send ids and vectors in two requests.",
        )
    if by_id[0]:
        return None, [read_id(value, path, limits) for _, value, path in found]
    return read_matrix([value for _, value, _ in found], lambda number: found[number][2]), None


def read_id(value: Any, path: str, limits: Limits) -> Id:
    """Return an id: a string, or an integer of 64 bits.

    Raises
    ------
    BodyRefused
        With code ``body-id``.
    """
    if isinstance(value, Oddity):
        value.refuse(path)
    if type(value) is str:
        if len(value) > limits.max_id_length:
            raise BodyRefused(
                "body-id",
                f"Expected an id of at most {limits.max_id_length} characters, got {len(value)}.",
                where=path,
            )
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise BodyRefused(
                "body-id", f"Expected an id that is text, got {shown(value)}.", where=path
            )
        return value
    if type(value) is int:
        if not -_ID_BOUND <= value < _ID_BOUND:
            raise BodyRefused(
                "body-id", f"Expected an id of 64 bits, got {shown(value)}.", where=path
            )
        return value
    raise BodyRefused(
        "body-id", f"Expected an id: a string or an integer, got {shown(value)}.", where=path
    )


def _unwrap(record: Any, path: str) -> tuple[bool, Any, str]:
    """Return whether a record is an id, its value, and the value's path."""
    if type(record) is list:
        return False, record, path
    if type(record) is not dict:
        _refuse_type(record, "a vector or an object", path)
    name = _only_field(record, path)
    value, path = record[name], f"{path}.{name}"
    if name == "id":
        return True, value, path
    if name == "data":
        value, path = _step(value, "features", path)
    if type(value) is dict:
        value, path = _step(value, "values", path)
    if type(value) is not list:
        _refuse_type(value, "a list of numbers", path)
    return False, value, path


def _only_field(record: dict[str, Any], path: str) -> str:
    for name in record:
        if name not in RECORD_FIELDS:
            raise BodyRefused(
                "body-field-unknown",
                f"Expected a query, got the field {shown(name)}.",
                where=path,
                hint=did_you_mean(name, RECORD_FIELDS),
            )
    if not record:
        raise BodyRefused(
            "body-field-missing",
            "Expected an object that holds a query, got an empty one.",
            where=path,
            hint=f"Known are: {', '.join(sorted(RECORD_FIELDS))}.",
        )
    if len(record) > 1:
        raise BodyRefused(
            "body-field-conflict",
            f"Expected one query in an object, got the fields {', '.join(sorted(record))}.",
            where=path,
        )
    return next(iter(record))


def _step(value: Any, name: str, path: str) -> tuple[Any, str]:
    if type(value) is not dict:
        _refuse_type(value, f"an object with the field {name!r}", path)
    if name not in value:
        raise BodyRefused(
            "body-field-missing", f"Expected the field {name!r}, got none.", where=path
        )
    others = sorted(set(value) - {name})
    if others:
        raise BodyRefused(
            "body-field-unknown",
            f"Expected the field {name!r} only, got {shown(others[0])} as well.",
            where=path,
            hint="Sparse features are not understood; send all values of a vector.",
        )
    return value[name], f"{path}.{name}"


def _as_array(values: list[Any]) -> Float64Array | None:
    # bool is a subclass of int, and numpy reads texts and None as numbers: look at exact types.
    if not _NUMBERS.issuperset(map(type, values)):
        return None
    try:
        array = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    return array if np.isfinite(array).all() else None


def _refuse_element(values: list[Any], path: str) -> Never:
    for number, value in enumerate(values):
        where = f"{path}[{number}]"
        if type(value) not in _NUMBERS:
            if type(value) is list:
                raise BodyRefused(
                    "body-nesting",
                    "Expected a number, got a list.",
                    where=where,
                    hint="A vector is a list of numbers, a batch a list of vectors.",
                )
            _refuse_type(value, "a number", where)
        if not _fits(value):
            raise BodyRefused(
                "body-number",
                "Expected a number that a float64 holds, got one beyond.",
                where=where,
            )
    raise AssertionError("unreachable: one element is at fault")  # pragma: no cover


def _fits(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _refuse_type(value: Any, expected: str, where: str) -> Never:
    if isinstance(value, Oddity):
        value.refuse(where)
    got = f"the text {shown(value)}" if isinstance(value, str) else shown(value)
    raise BodyRefused("body-type", f"Expected {expected}, got {got}.", where=where)


def _refuse_ragged(rows: Sequence[list[Any]], path_of: Callable[[int], str]) -> Never:
    width = len(rows[0])
    for number, row in enumerate(rows):
        if len(row) != width:
            raise BodyRefused(
                "body-ragged",
                f"Expected vectors of equal length, got {width} numbers in the first and "
                f"{len(row)} here.",
                where=path_of(number),
            )
    raise AssertionError("unreachable: one row is of another length")  # pragma: no cover
