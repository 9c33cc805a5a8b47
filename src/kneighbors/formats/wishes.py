"""Queries by example, as JSON and JSON lines hold them.

::

    {"like": ["ch-1234", "me-77"], "dislike": ["sy-3"]}
    {"like": [{"id": "ch-1234", "weight": 2}, {"vector": [0.1, 0.2]}, [0.3, 0.4]]}
    {"terms": ["fresh", "lime"], "dislike": [{"terms": ["oak"]}]}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Never

from kneighbors.errors import BodyRefused, ParameterRefused
from kneighbors.formats.limits import Limits
from kneighbors.formats.parameters import check_finite
from kneighbors.formats.records import Float64Array, read_id, read_records, read_vector
from kneighbors.formats.request import Example, Id, Wish
from kneighbors.formats.strictjson import Oddity
from kneighbors.formats.text import did_you_mean, shown

#: Names under which an object holds a query by example; several may come together.
WISH_FIELDS = ("like", "dislike", "terms")
_KINDS = ("id", "vector", "terms")
_EXAMPLE_FIELDS = (*_KINDS, "weight")

Queries = tuple[Float64Array | None, list[Id] | None, list[Wish] | None]


def read_queries(records: Sequence[Any], path_of: Callable[[int], str], limits: Limits) -> Queries:
    """Return the queries of several records: a matrix, ids or wishes; the others are None.

    Parameters
    ----------
    records : sequence
        At least one record, all of one kind.
    path_of : callable
        The path of a record by its number.
    limits : Limits

    Raises
    ------
    BodyRefused
        As `kneighbors.formats.records.read_records` and `read_wish`.
    """
    wishing = [_is_wish(record) for record in records]
    if not any(wishing):
        return (*read_records(records, path_of, limits), None)
    if not all(wishing):
        odd = wishing.index(not wishing[0])
        raise BodyRefused(
            "body-field-conflict",
            f"Expected all queries to be {'by example' if wishing[0] else 'vectors or ids'}, as "
            "the first is, got another kind.",
            where=path_of(odd),
            hint="Send the two kinds in two requests.",
        )
    return None, None, [read_wish(one, path_of(n), limits) for n, one in enumerate(records)]


def read_wish(fields: dict[str, Any], path: str, limits: Limits) -> Wish:
    """Return the query by example that an object holds under `WISH_FIELDS`.

    Raises
    ------
    BodyRefused
        With codes ``body-type``, ``body-field-unknown``, ``body-field-conflict``,
        ``body-field-missing``, ``body-id``, ``ids-too-many`` and those of vectors.
    ParameterRefused
        With code ``parameter-type`` or ``parameter-range``, for a weight.

    Examples
    --------
    >>> wish = read_wish({"like": ["a", {"id": "b", "weight": 2}]}, "$", Limits())
    >>> [(one.id, one.weight) for one in wish.like]
    [('a', 1.0), ('b', 2.0)]
    """
    for name in fields:
        if name not in WISH_FIELDS:
            _refuse_field(name, path, WISH_FIELDS)
    like = list(_examples(fields, "like", path, limits))
    if "terms" in fields:
        at = f"{path}.terms"
        terms = read_terms(fields["terms"], at, limits)
        like += [Example(terms=terms, where=at)] if terms else []
    return Wish(tuple(like), tuple(_examples(fields, "dislike", path, limits)), path)


def read_terms(value: Any, path: str, limits: Limits) -> tuple[str, ...]:
    """Return a list of terms as a tuple.

    Raises
    ------
    BodyRefused
        With code ``body-type``, ``body-id`` or ``ids-too-many``.
    """
    terms = _list(value, "a list of terms", path, limits)
    for number, term in enumerate(terms):
        if type(term) is not str:
            _refuse_type(term, "a term, which is text", f"{path}[{number}]")
        read_id(term, f"{path}[{number}]", limits)  # as long as an id, and text
    return tuple(terms)


def _is_wish(record: Any) -> bool:
    return type(record) is dict and any(name in record for name in WISH_FIELDS)


def _examples(fields: dict[str, Any], name: str, path: str, limits: Limits) -> Iterator[Example]:
    if name not in fields:
        return
    path = f"{path}.{name}"
    for number, one in enumerate(_list(fields[name], "a list of ids or vectors", path, limits)):
        yield _example(one, f"{path}[{number}]", limits)


def _example(value: Any, path: str, limits: Limits) -> Example:
    if type(value) is list:
        return Example(vector=read_vector(value, path), where=path)
    if type(value) is not dict:
        if type(value) not in (str, int) and not isinstance(value, Oddity):
            _refuse_type(value, "an id, a vector or an object", path)
        return Example(id=read_id(value, path, limits), where=path)
    for name in value:
        if name not in _EXAMPLE_FIELDS:
            _refuse_field(name, path, _EXAMPLE_FIELDS)
    present = [name for name in _KINDS if name in value]
    if len(present) != 1:
        raise BodyRefused(
            "body-field-conflict" if present else "body-field-missing",
            f"Expected one of the fields {', '.join(_KINDS)}, got "
            f"{' and '.join(present) or 'none'}.",
            where=path,
        )
    weight = read_weight(value.get("weight", 1.0), f"{path}.weight")
    (name,) = present
    inner, at = value[name], f"{path}.{name}"
    if name == "id":
        return Example(id=read_id(inner, at, limits), weight=weight, where=path)
    if name == "vector":
        if type(inner) is not list:
            _refuse_type(inner, "a list of numbers", at)
        return Example(vector=read_vector(inner, at), weight=weight, where=path)
    terms = read_terms(inner, at, limits)
    if not terms:
        raise BodyRefused("body-no-queries", "Expected at least one term, got none.", where=at)
    return Example(terms=terms, weight=weight, where=path)


def read_weight(value: Any, path: str) -> float:
    """Return a weight, which is a finite number of at least 0.

    Raises
    ------
    ParameterRefused
        With code ``parameter-type`` or ``parameter-range``.
    """
    if isinstance(value, Oddity):
        value.refuse(path)
    weight = check_finite("weight", value, path)
    if weight < 0:
        raise ParameterRefused(
            "parameter-range",
            f"Expected a weight of at least 0, got {shown(value)}.",
            where=path,
            hint="Put what is not wanted under dislike, with a positive weight.",
        )
    return weight


def _list(value: Any, expected: str, path: str, limits: Limits) -> list[Any]:
    if type(value) is not list:
        _refuse_type(value, expected, path)
    if len(value) > limits.max_ids:
        raise BodyRefused(
            "ids-too-many",
            f"Expected at most {limits.max_ids} entries, got {len(value)}.",
            where=path,
        )
    return value


def _refuse_type(value: Any, expected: str, where: str) -> Never:
    if isinstance(value, Oddity):
        value.refuse(where)
    got = f"the text {shown(value)}" if isinstance(value, str) else shown(value)
    raise BodyRefused("body-type", f"Expected {expected}, got {got}.", where=where)


def _refuse_field(name: str, path: str, known: Sequence[str]) -> Never:
    raise BodyRefused(
        "body-field-unknown",
        f"Expected known fields, got {shown(name)}.",
        where=path,
        hint=did_you_mean(name, known),
    )
