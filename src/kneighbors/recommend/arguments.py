"""Python's arguments as a request: the same that JSON and the command line make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from kneighbors.errors import ArrayRefused, ParameterRefused
from kneighbors.formats import Example, Limits, Parameters, Wish
from kneighbors.formats.parameters import build, read_parameters
from kneighbors.formats.records import read_id
from kneighbors.formats.text import shown
from kneighbors.formats.wishes import read_terms, read_weight

Likes = Iterable[Any] | Mapping[Any, float]


def wish_of(like: Likes, dislike: Likes, terms: Any, limits: Limits) -> Wish:
    """Return likes, dislikes and terms as a query by example.

    Parameters
    ----------
    like, dislike : iterable or mapping
        Ids, vectors, or pairs of one of them and its weight; or a mapping of ids to weights.
    terms : sequence of str
    limits : Limits
    """
    liked = _examples(like, "like", limits)
    words = read_terms(plain(terms), "terms", limits)
    if words:
        liked.append(Example(terms=words, where="terms"))
    return Wish(tuple(liked), tuple(_examples(dislike, "dislike", limits)), "")


def parameters_of(given: Mapping[str, Any], limits: Limits) -> Parameters:
    """Return keyword arguments as parameters; None says nothing.

    Raises
    ------
    ParameterRefused, BodyRefused
        As for a request; the places are the names of the arguments.
    """
    said = [(name, plain(value)) for name, value in given.items() if value is not None]
    return build(read_parameters(said, "", limits))


def plain(value: Any) -> Any:
    """Return a value as JSON has it: numpy's numbers are Python's, sequences lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):  # a column of a table
        return plain(value.tolist())
    return value


def _examples(given: Likes, name: str, limits: Limits) -> list[Example]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise ParameterRefused(
            "parameter-type", f"Expected a list of ids or vectors, got {shown(given)}.", where=name
        )
    if isinstance(given, Mapping):
        pairs: list[tuple[Any, Any]] = list(given.items())
    else:
        pairs = [one if _is_pair(one) else (one, 1.0) for one in given]
    if len(pairs) > limits.max_ids:
        raise ParameterRefused(
            "parameter-range", f"Expected at most {limits.max_ids}, got {len(pairs)}.", where=name
        )
    return [
        _example(value, weight, f"{name}[{place}]", limits)
        for place, (value, weight) in enumerate(pairs)
    ]


def _is_pair(one: Any) -> bool:
    """Tell a pair of an id or a vector and its weight from a vector of two numbers."""
    return isinstance(one, tuple) and len(one) == 2 and not isinstance(one[0], float)


def _example(value: Any, weight: Any, where: str, limits: Limits) -> Example:
    checked = read_weight(plain(weight), f"{where}, weight")
    if isinstance(value, (str, Integral)):  # numpy's integers too; read_id refuses true and false
        return Example(id=read_id(plain(value), where, limits), weight=checked, where=where)
    return Example(vector=_vector(value, where), weight=checked, where=where)


def _vector(value: Any, where: str) -> Any:
    try:
        vector = np.asarray(value)
    except ValueError as error:
        raise ArrayRefused("array-ragged", "Expected a vector.", where=where) from error
    if vector.ndim != 1:
        raise ArrayRefused(
            "array-shape",
            f"Expected an id or a vector, got an array of {vector.ndim} dimensions.",
            where=where,
        )
    return vector


def ids_of(ids: Sequence[Any] | Any, limits: Limits) -> list[str | int]:
    """Return ids as a list.

    Raises
    ------
    ParameterRefused
        With code ``ids-type``, for a lone text, which is a sequence of its letters.
    """
    if isinstance(ids, (str, bytes)):
        raise ParameterRefused("ids-type", f"Expected a sequence of ids, got the text {ids!r}.")
    return [read_id(one, f"ids[{n}]", limits) for n, one in enumerate(plain(list(ids)))]
