"""The parameters of a request: their names, their types, and joining those of body and header."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kneighbors.errors import BodyRefused, ParameterRefused
from kneighbors.formats.limits import Limits
from kneighbors.formats.records import read_id
from kneighbors.formats.request import STRATEGIES, Id, Parameters
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


def check_share(name: str, value: Any, where: str) -> float:
    """Return a number from 0 to 1."""
    share = check_finite(name, value, where)
    if not 0 <= share <= 1:
        raise _out_of_range(name, "from 0 to 1", value, where)
    return share


def check_finite(name: str, value: Any, where: str) -> float:
    """Return a finite number as a float."""
    if type(value) not in (int, float):
        raise _of_type(name, "a number such as 0.5", value, where)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _out_of_range(name, "that is finite", value, where)
    return number


def check_positive(name: str, value: Any, where: str) -> int:
    """Return a positive integer as it is."""
    if type(value) is not int:
        raise _of_type(name, "an integer such as 1", value, where)
    if value < 1:
        raise _out_of_range(name, "of at least 1", value, where)
    return value


def check_switch(name: str, value: Any, where: str) -> bool:
    """Return a truth value."""
    if type(value) is not bool:
        raise _of_type(name, "true or false", value, where)
    return value


def check_word(name: str, value: Any, where: str) -> str:
    """Return a text that is a name of something."""
    if type(value) is not str or not value:
        raise _of_type(name, "a name", value, where)
    return value


def check_words(name: str, value: Any, where: str) -> tuple[str, ...]:
    """Return one name or several as a tuple."""
    names = value if type(value) is list else [value]
    if not names or any(type(one) is not str or not one for one in names):
        raise _of_type(name, "a name or a list of names", value, where)
    return tuple(dict.fromkeys(names))


def check_choice(name: str, value: Any, where: str, known: Sequence[str]) -> str:
    """Return one of several words."""
    if type(value) is not str:
        raise _of_type(name, " or ".join(known), value, where)
    if value not in known:
        raise ParameterRefused(
            "parameter-range",
            f"Expected {name} to be {' or '.join(known)}, got {shown(value)}.",
            where=where,
            hint=did_you_mean(value, known),
        )
    return value


def check_object(name: str, value: Any, where: str) -> dict[str, Any]:
    """Return an object as it is; what it may hold is for its reader."""
    if type(value) is not dict:
        raise _of_type(name, "an object", value, where)
    _refuse_oddities(value, where)
    return value


def _refuse_oddities(value: Any, where: str) -> None:
    """Refuse what is never a value, such as NaN, wherever in `value` it stands."""
    # Only the way to where the walk is has its path written: a path for each value of a large
    # object would take several times the memory of the object.
    waiting = [iter([(where, value)])]
    while waiting:
        for path, one in waiting[-1]:
            if isinstance(one, Oddity):
                one.refuse(path)
            if type(one) is float and not math.isfinite(one):
                raise BodyRefused(
                    "body-number",
                    "Expected a number that a float64 holds, got one beyond.",
                    where=path,
                )
            if type(one) is dict or type(one) is list:
                waiting.append(_inside(one, path))
                break
        else:
            waiting.pop()


def _inside(value: dict[str, Any] | list[Any], path: str) -> Iterator[tuple[str, Any]]:
    """Yield what a value holds, and where."""
    if type(value) is dict:
        for name, one in value.items():
            yield f"{path}.{name[:60]}", one
    else:
        for place, one in enumerate(value):
            yield f"{path}[{place}]", one


def _alone(check: Callable[[str, Any, str], Any]) -> Callable[[str, Any, str, Limits], Any]:
    return lambda name, value, where, limits: check(name, value, where)


def _one_of(*known: str) -> Callable[[str, Any, str, Limits], Any]:
    return lambda name, value, where, limits: check_choice(name, value, where, known)


_CHECKS: Mapping[str, Callable[[str, Any, str, Limits], Any]] = {
    "n_neighbors": _alone(check_count),
    "radius": _alone(check_number),
    "exclude_self": _alone(check_flag),
    "exclude_ids": check_ids,
    "include_items": _alone(check_columns),
    "min_distance": _alone(check_finite),
    "include_ids": check_ids,
    "exclude_list": _alone(check_words),
    "include_list": _alone(check_words),
    "filter": _alone(check_object),
    "diversity": _alone(check_share),
    "group_by": _alone(check_word),
    "max_per_group": _alone(check_positive),
    "fold_within": _alone(check_finite),
    "strategy": _one_of(*STRATEGIES),
    "unknown_terms": _one_of("refuse", "skip"),
    "explain": _alone(check_switch),
    "allow_partial": _alone(check_switch),
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


def _of_type(name: str, expected: str, value: Any, where: str) -> ParameterRefused:
    got = f"the text {shown(value)}" if isinstance(value, str) else shown(value)
    return ParameterRefused(
        "parameter-type", f"Expected {name} to be {expected}, got {got}.", where=where
    )


def _out_of_range(name: str, expected: str, value: Any, where: str) -> ParameterRefused:
    return ParameterRefused(
        "parameter-range", f"Expected {name} {expected}, got {shown(value)}.", where=where
    )


def _wrong_type(name: str, expected: str, value: Any, where: str) -> ParameterRefused:
    got = f"the text {shown(value)}" if isinstance(value, str) else shown(value)
    return ParameterRefused(
        f"{_kebab(name)}-type", f"Expected {name} to be {expected}, got {got}.", where=where
    )
