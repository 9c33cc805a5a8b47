"""The parameters of a request: their names, their types, and joining those of body and header."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kneighbors.errors import BodyRefused, ParameterRefused
from kneighbors.formats.limits import Limits
from kneighbors.formats.records import read_id
from kneighbors.formats.request import Id, Parameters
from kneighbors.formats.strictjson import Oddity
from kneighbors.formats.text import did_you_mean, shown


def check_count(name: str, value: Any, where: str) -> int:
    """Return a positive integer as it is: 10.0, true and "10" are none."""
    if type(value) is not int:
        raise _wrong_type(name, "an integer such as 10", value, where)
    if value < 1:
        raise ParameterRefused(
            f"{_kebab(name)}-range",
            f"Expected {name} of at least 1, got {shown(value)}.",
            where=where,
        )
    return value


def check_number(name: str, value: Any, where: str) -> float:
    """Return a finite number as a float."""
    if type(value) not in (int, float):
        raise _wrong_type(name, "a number such as 0.5", value, where)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ParameterRefused(
            f"{_kebab(name)}-range",
            f"Expected {name} to be finite, got {shown(value)}.",
            where=where,
        )
    return number


def check_flag(name: str, value: Any, where: str) -> bool:
    """Return a truth value: 1 and "true" are none."""
    if type(value) is not bool:
        raise _wrong_type(name, "true or false", value, where)
    return value


def check_ids(name: str, value: Any, where: str, limits: Limits) -> tuple[Id, ...]:
    """Return ids as a tuple."""
    if type(value) is not list:
        raise _wrong_type(name, "a list of ids", value, where)
    if len(value) > limits.max_ids:
        raise BodyRefused(
            "ids-too-many",
            f"Expected at most {limits.max_ids} ids in {name}, got {len(value)}.",
            where=where,
        )
    return tuple(read_id(one, f"{where}[{number}]", limits) for number, one in enumerate(value))


def check_columns(name: str, value: Any, where: str) -> bool | tuple[str, ...]:
    """Return a truth value, or names of columns as a tuple."""
    if type(value) is bool:
        return value
    if type(value) is not list or not value or any(type(one) is not str for one in value):
        raise _wrong_type(name, "true, false or a list of names of columns", value, where)
    return tuple(dict.fromkeys(value))


_CHECKS: Mapping[str, Callable[[str, Any, str, Limits], Any]] = {
    "n_neighbors": lambda name, value, where, limits: check_count(name, value, where),
    "radius": lambda name, value, where, limits: check_number(name, value, where),
    "exclude_self": lambda name, value, where, limits: check_flag(name, value, where),
    "exclude_ids": check_ids,
    "include_items": lambda name, value, where, limits: check_columns(name, value, where),
}
ALIASES = {"k": "n_neighbors"}
#: Every name that a parameter may be given under.
NAMES = (*_CHECKS, *ALIASES)


def read_parameters(fields: Iterable[tuple[str, Any]], path: str, limits: Limits) -> dict[str, Any]:
    """Return checked parameters by their canonical names.

    Parameters
    ----------
    fields : iterable of (name, value)
    path : str
        Path of the object that holds them.
    limits : Limits

    Raises
    ------
    ParameterRefused
        With code ``parameter-unknown``, ``parameter-conflict``, or the name of a parameter and
        ``-type`` or ``-range``, such as ``n-neighbors-type``.
    BodyRefused
        With code ``body-id`` or ``ids-too-many``.

    Examples
    --------
    >>> read_parameters([("k", 3), ("exclude_self", True)], "$", Limits())
    {'n_neighbors': 3, 'exclude_self': True}
    """
    given: dict[str, Any] = {}
    for written, value in fields:
        where = f"{path}.{written}"
        name = ALIASES.get(written, written)
        if name not in _CHECKS:
            raise ParameterRefused(
                "parameter-unknown",
                f"Expected a known parameter, got {shown(written)}.",
                where=path,
                hint=did_you_mean(written, NAMES),
            )
        if isinstance(value, Oddity):
            value.refuse(where)
        given = join(given, {name: _CHECKS[name](name, value, where, limits)}, where)
    return given


def join(given: dict[str, Any], more: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the parameters of two places together; the same one twice must say the same.

    Raises
    ------
    ParameterRefused
        With code ``parameter-conflict``. Neither place wins: a request that says two things is
        a mistake that someone wants to hear of.

    Examples
    --------
    >>> join({"n_neighbors": 3}, {"n_neighbors": 3, "radius": 0.5}, "a header")
    {'n_neighbors': 3, 'radius': 0.5}
    """
    for name in given.keys() & more.keys():
        if given[name] != more[name]:
            raise ParameterRefused(
                "parameter-conflict",
                f"Expected one value of {name}, got {_summary(given[name])} and "
                f"{_summary(more[name])}.",
                where=where,
            )
    return {**given, **more}


def build(given: Mapping[str, Any]) -> Parameters:
    """Return the parameters as an object."""
    return Parameters(**given)


def _summary(value: Any) -> str:
    return f"{len(value)} entries" if isinstance(value, tuple) else shown(value)


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _wrong_type(name: str, expected: str, value: Any, where: str) -> ParameterRefused:
    got = f"the text {shown(value)}" if isinstance(value, str) else shown(value)
    return ParameterRefused(
        f"{_kebab(name)}-type", f"Expected {name} to be {expected}, got {got}.", where=where
    )
