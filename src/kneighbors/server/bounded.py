"""A field of a dataclass with a unit, bounds and an environment variable, and its checks."""

from __future__ import annotations

from dataclasses import Field, field
from typing import Any, NoReturn

from kneighbors.errors import ParameterRefused

_NUMBERS = {"int": int, "float": float}


def setting(
    default: Any,
    help_: str,
    *,
    variable: str,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    one_of: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """Return a field that knows all about itself, in its metadata.

    Text may be empty where that is the default. What is secret is neither represented nor quoted.
    """
    about = {
        "help": help_,
        "variable": variable,
        "unit": unit,
        "least": least,
        "most": most,
        "one_of": one_of,
        "secret": secret,
    }
    return field(default=default, metadata=about, repr=not secret)


def parsed(one: Field[Any], text: str) -> Any:
    """Return what an environment variable says.

    Raises
    ------
    ParameterRefused
        With code ``setting-type``.
    """
    number = _NUMBERS.get(str(one.type))
    if number is None:
        return text
    try:
        return number(text)
    except ValueError:
        _refuse("setting-type", one, f"a number ({one.type})", text)


def checked(one: Field[Any], value: Any) -> Any:
    """Return a value of the field's own type, within its bounds.

    Raises
    ------
    ParameterRefused
        With code ``setting-type``, ``setting-range`` or ``setting-choice``.
    """
    number = _NUMBERS.get(str(one.type))
    about = one.metadata
    if number is None:
        if not isinstance(value, str) or not (value or one.default == ""):
            _refuse("setting-type", one, "text", value)
        if about["one_of"] and value not in about["one_of"]:
            _refuse("setting-choice", one, "one of " + ", ".join(about["one_of"]), value)
        return value
    if isinstance(value, bool) or not isinstance(value, (int, number)):
        _refuse("setting-type", one, f"a number ({one.type})", value)
    # Written so that NaN is out of every range.
    if not about["least"] <= value <= about["most"]:
        bounds = f"between {about['least']} and {about['most']} {about['unit']}".rstrip()
        _refuse("setting-range", one, f"a number {bounds}", value)
    return number(value)


def _refuse(code: str, one: Field[Any], expected: str, value: Any) -> NoReturn:
    came = "something else" if one.metadata["secret"] else f"{value!r:.100}"
    raise ParameterRefused(
        code,
        f"Expected {one.name} to be {expected}, got {came}.",
        where=f"setting {one.name} (variable {one.metadata['variable']})",
    )
