"""Columns of an attribute table as values that JSON can hold.

The table below is the list of what a column may be. Times are read as whole numbers and written in
ISO 8601 by numpy, for pyarrow's own conversion of nanoseconds imports pandas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

Convert = Callable[["pa.Array"], list[Any]]


def is_supported(kind: pa.DataType) -> bool:
    """Tell whether a column of this type can be an attribute."""
    return _converter(kind) is not None


def is_list_of_text(kind: pa.DataType) -> bool:
    """Tell whether a column holds lists of text, of any layout."""
    import pyarrow.types as kinds

    if not (kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)):
        return False
    return bool(kinds.is_string(kind.value_type) or kinds.is_large_string(kind.value_type))


def json_values(column: pa.Array) -> list[Any]:
    """Return the values of a column as JSON can hold them.

    Text, booleans and whole numbers stay what they are. Numbers that JSON has no word for (NaN and
    the infinities) become None, as missing values do. Decimals become text, so that no digit is
    lost. Dates, times and timestamps become ISO 8601, in UTC with ``Z`` where they have a time
    zone; durations become ISO 8601 seconds (``PT1.5S``).

    Parameters
    ----------
    column : pyarrow.Array
        Of a type that `is_supported`.

    Returns
    -------
    list
        One value for each element.

    Examples
    --------
    >>> import pyarrow as pa
    >>> json_values(pa.array([1.5, None, float("nan")]))
    [1.5, None, None]
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    convert = _converter(column.type)
    if convert is None:
        raise TypeError(f"A column of {column.type} is no attribute.")
    return convert(column)


def _as_it_is(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return values


def _finite(column: pa.Array) -> list[float | None]:
    return [
        None if value is None or not math.isfinite(value) else float(value)
        for value in column.to_pylist()
    ]


def _digits(column: pa.Array) -> list[str | None]:
    # format(…, "f") never falls into exponents, so that the digits are those of the column.
    return [None if value is None else format(value, "f") for value in column.to_pylist()]


def _dates(column: pa.Array) -> list[str | None]:
    import pyarrow as pa

    if pa.types.is_date32(column.type):
        return _iso(column.view(pa.int32()), "D", "")
    return [
        None if text is None else text[:-13] for text in _iso(column.view(pa.int64()), "ms", "")
    ]


def _timestamps(column: pa.Array) -> list[str | None]:
    import pyarrow as pa

    return _iso(column.view(pa.int64()), column.type.unit, "Z" if column.type.tz else "")


def _times(column: pa.Array) -> list[str | None]:
    import pyarrow as pa

    whole = column.view(pa.int32() if column.type.bit_width == 32 else pa.int64())
    # A time of day is that long after midnight of day 0, whose date is then cut off.
    return [
        None if text is None else text.partition("T")[2]
        for text in _iso(whole, column.type.unit, "")
    ]


def _durations(column: pa.Array) -> list[str | None]:
    import pyarrow as pa

    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[column.type.unit]
    values = column.view(pa.int64()).to_pylist()
    return [None if value is None else _iso_seconds(value, digits) for value in values]


def _iso_seconds(value: int, digits: int) -> str:
    whole, part = divmod(abs(value), 10**digits)
    fraction = f".{part:0{digits}d}".rstrip("0").rstrip(".") if digits else ""
    return f"{'-' if value < 0 else ''}PT{whole}{fraction}S"


def _iso(whole: pa.Array, unit: str, suffix: str) -> list[str | None]:
    # Through a list, for pyarrow's own ways to fill gaps import pandas.
    counts = whole.to_pylist()
    times = np.array([0 if count is None else count for count in counts], dtype=np.int64)
    texts = np.datetime_as_string(times.view(f"datetime64[{unit}]")).tolist()
    return [
        # The smallest number of 64 bits is numpy's "not a time".
        None if count is None or text == "NaT" else text + suffix
        for count, text in zip(counts, texts, strict=True)
    ]


def _converter(kind: pa.DataType) -> Convert | None:
    import pyarrow.types as kinds

    if kinds.is_dictionary(kind):
        inner = kind.value_type
        return None if kinds.is_nested(inner) else _converter(inner)
    if is_list_of_text(kind):
        return _as_it_is
    for belongs, convert in (
        (_is_plain, _as_it_is),
        (kinds.is_floating, _finite),
        (kinds.is_decimal, _digits),
        (kinds.is_date, _dates),
        (kinds.is_timestamp, _timestamps),
        (kinds.is_time, _times),
        (kinds.is_duration, _durations),
    ):
        if belongs(kind):
            return convert
    return None


def _is_plain(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return bool(
        kinds.is_boolean(kind)
        or kinds.is_integer(kind)
        or kinds.is_string(kind)
        or kinds.is_large_string(kind)
        or kinds.is_null(kind)
    )
