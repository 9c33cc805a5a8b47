"""What an attribute is to a filter: which operators it has, and what a value of it looks like.

A value in JSON becomes an *operand*, comparable in Python and exact: text, a boolean, a float of
the column's own precision, or for everything that a column stores as whole numbers (integers,
decimals, dates, times, durations) a fraction in the column's own unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.items.values import is_list_of_text

if TYPE_CHECKING:
    import pyarrow as pa

Operand = str | bool | float | Fraction
Read = Callable[[Any], Operand]

_EQUAL = ("eq", "ne", "in", "not_in")
_ORDERED = (*_EQUAL, "lt", "le", "gt", "ge", "between")
_FLOATS: dict[int, type[np.floating[Any]]] = {16: np.float16, 32: np.float32, 64: np.float64}
_UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}

_DECIMAL = re.compile(r"[+-]?[0-9]{1,80}(?:\.[0-9]{1,80})?", re.ASCII)
_DATE = re.compile(r"-?[0-9]{3,6}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?", re.ASCII)
_ZONE = re.compile(r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))$", re.ASCII)
_DURATION = re.compile(r"(-?)PT([0-9]{1,19}(?:\.[0-9]{1,9})?)S", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """A kind of attribute.

    Attributes
    ----------
    name : str
        Such as ``"number"``, for messages and for the explorer.
    expected : str
        What a value must be, for messages.
    operators : tuple of str
        Those that a condition on it may have; ``null`` comes with all.
    read : callable
        Turns a value of JSON into an operand; raises `ValueError` when it is none of this kind.
    is_whole : bool
        Whether operands are fractions and the column holds whole numbers.
    """

    name: str
    expected: str
    operators: tuple[str, ...]
    read: Read
    is_whole: bool = False


def kind_of(column: pa.DataType) -> Kind:
    """Return what a column of this type is; its type is one that `is_supported`."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(column):
        return kind_of(column.value_type)
    if is_list_of_text(column):
        return Kind("list", "text", ("has", "any", "all", "none"), _text)
    if kinds.is_boolean(column):
        return Kind("boolean", "true or false", _EQUAL, _boolean)
    if kinds.is_string(column) or kinds.is_large_string(column):
        return Kind("text", "text", (*_ORDERED, "prefix"), _text)
    if kinds.is_floating(column):
        return Kind("number", "a number", _ORDERED, _float_of(_FLOATS[column.bit_width]))
    if kinds.is_null(column):
        return Kind("nothing", "null", (), _nothing)
    name, expected, read = _whole(column)
    return Kind(name, expected, _ORDERED, read, is_whole=True)


def _whole(column: pa.DataType) -> tuple[str, str, Read]:
    import pyarrow.types as kinds

    if kinds.is_integer(column):
        return "number", "a number", _integer
    if kinds.is_decimal(column):
        return "number", "a number, or its digits as text", _decimal_of(column.scale)
    if kinds.is_date(column):
        per_day = 1 if kinds.is_date32(column) else 86_400_000
        return "date", 'a date such as "2020-02-29"', lambda value: _days(value) * per_day
    unit = 10 ** _UNITS[column.unit]
    if kinds.is_timestamp(column):
        zoned = column.tz is not None
        example = "2020-02-29T13:45:00" + ("Z" if zoned else "")
        expected = f'a date and time such as "{example}"'
        return "timestamp", expected, lambda value: _moment(value, zoned=zoned) * unit
    if kinds.is_time(column):
        expected = 'a time such as "13:45:00"'
        return "time", expected, lambda value: _time_of_day(_text(value)) * unit
    return "duration", 'a duration such as "PT90S"', lambda value: _seconds(value) * unit


def _nothing(value: Any) -> Operand:
    raise ValueError


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    # Half of a surrogate pair cannot be looked for: this raises a ValueError too.
    value.encode()
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError
    # An integer that no float64 holds is no number of ours: nothing could be compared with it.
    if isinstance(value, int) and value.bit_length() > 1023:
        raise ValueError
    if not math.isfinite(value):
        raise ValueError
    return value


def _float_of(kind: type[np.floating[Any]]) -> Read:
    def read(value: Any) -> float:
        exact = float(_number(value))
        with np.errstate(over="ignore"):
            rounded = float(kind(exact))
        # What the narrow type cannot hold stays as it is: no value of the column equals it.
        return rounded if math.isfinite(rounded) else exact

    return read


def _integer(value: Any) -> Fraction:
    return Fraction(_number(value))


def _decimal_of(scale: int) -> Read:
    def read(value: Any) -> Fraction:
        if isinstance(value, str):
            if not _DECIMAL.fullmatch(value):
                raise ValueError
            return Fraction(Decimal(value)) * Fraction(10) ** scale
        # The digits that were written, and not the binary fraction next to them.
        return Fraction(repr(_number(value))) * Fraction(10) ** scale

    return read


def _days(value: Any) -> Fraction:
    if not _DATE.fullmatch(_text(value)):
        raise ValueError
    return Fraction(int(np.datetime64(value, "D").astype(np.int64)))


def _time_of_day(text: str) -> Fraction:
    """Return seconds after midnight."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError
    fraction = Fraction(match[4]) if match[4] else Fraction(0)
    return Fraction(3600 * hours + 60 * minutes + seconds) + fraction


def _moment(value: Any, *, zoned: bool) -> Fraction:
    """Return seconds after the beginning of 1970."""
    date, _, time = _text(value).replace(" ", "T", 1).partition("T")
    seconds = _days(date) * 86_400
    if not time:
        return seconds
    zone = _ZONE.search(time)
    if zone is None:
        return seconds + _time_of_day(time)
    if not zoned:
        raise ValueError
    hours, minutes = int(zone[2] or 0), int(zone[3] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError
    away = 3600 * hours + 60 * minutes
    return seconds + _time_of_day(time[: zone.start()]) - (-away if zone[1] == "-" else away)


def _seconds(value: Any) -> Fraction:
    match = _DURATION.fullmatch(_text(value))
    if match is None:
        raise ValueError
    length = Fraction(match[2])
    return -length if match[1] else length
