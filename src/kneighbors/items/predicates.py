"""What can be true of one attribute, and for which rows of a column it is.

A predicate is a value: two that say the same are equal, so that its bitmap can be kept and found
again. A missing value makes every predicate false but `Missing`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from kneighbors.items.buffers import (
    BoolArray,
    booleans_of,
    list_ends,
    numbers_of,
    spread,
    text_array,
    valid_of,
)
from kneighbors.items.kinds import Operand

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Missing:
    """The value is missing."""

    column: str


@dataclass(frozen=True)
class OneOf:
    """The value is one of these."""

    column: str
    values: frozenset[Operand]


@dataclass(frozen=True)
class Between:
    """The value lies between two ends, of which either may be left away."""

    column: str
    low: Operand | None = None
    high: Operand | None = None
    low_open: bool = False
    high_open: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no value at all lies between the ends."""
        if self.low is None or self.high is None:
            return False
        if self.low == self.high:
            return self.low_open or self.high_open
        return bool(self.low > self.high)  # type: ignore[operator]  # both are of one kind

    def holds(self, value: Operand) -> bool:
        """Tell whether an operand lies between the ends."""
        low, high = Between(self.column, self.low, value), Between(self.column, value, self.high)
        touches_low = self.low_open and value == self.low
        touches_high = self.high_open and value == self.high
        return not (low.is_empty or high.is_empty or touches_low or touches_high)


@dataclass(frozen=True)
class Prefix:
    """The text begins so."""

    column: str
    text: str


@dataclass(frozen=True)
class Contains:
    """The list has one of these, or several."""

    column: str
    values: frozenset[str]


Predicate = Missing | OneOf | Between | Prefix | Contains


def evaluate(predicate: Predicate, column: pa.ChunkedArray) -> BoolArray:
    """Return the rows of which a predicate is true.

    Parameters
    ----------
    predicate : Predicate
        With operands of the column's kind.
    column : pyarrow.ChunkedArray of length n_samples

    Returns
    -------
    ndarray of shape (n_samples,), dtype bool

    Notes
    -----
    One pass over the column: for 180,000 rows 0.1 ms for numbers, 1 ms for text, and some
    milliseconds for lists; of a dictionary-encoded column, each word is looked at once.
    """
    mask = np.zeros(len(column), dtype=np.bool_)
    start = 0
    for chunk in column.chunks:
        mask[start : start + len(chunk)] = _of_chunk(predicate, chunk)
        start += len(chunk)
    return mask


def _of_chunk(predicate: Predicate, chunk: pa.Array) -> BoolArray:
    import pyarrow.types as kinds

    valid = valid_of(chunk)
    if isinstance(predicate, Missing):
        return ~valid
    if isinstance(predicate, Contains):
        return _lists_with(predicate.values, chunk) & valid
    if kinds.is_dictionary(chunk.type):
        return spread(_of_chunk(predicate, chunk.dictionary), chunk) & valid
    return _of_values(predicate, chunk) & valid


def _of_values(predicate: OneOf | Between | Prefix, chunk: pa.Array) -> BoolArray:
    import pyarrow.types as kinds

    kind = chunk.type
    if kinds.is_null(kind):
        return np.zeros(len(chunk), dtype=np.bool_)
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return _texts(predicate, chunk)
    if isinstance(predicate, Prefix):
        raise TypeError(f"A column of {kind} has no beginnings.")
    if kinds.is_boolean(kind):
        return _booleans(predicate, chunk)
    if kinds.is_decimal(kind):
        return _decimals(predicate, chunk)
    values = numbers_of(chunk)
    if isinstance(predicate, OneOf):
        known = _representable(predicate.values, values.dtype)
        return values == known[0] if len(known) == 1 else np.isin(values, known)
    return _floats(predicate, values) if values.dtype.kind == "f" else _whole(predicate, values)


def _booleans(predicate: OneOf | Between, chunk: pa.Array) -> BoolArray:
    values = booleans_of(chunk)
    wanted = predicate.values if isinstance(predicate, OneOf) else frozenset[Operand]()
    return (values & (True in wanted)) | (~values & (False in wanted))


def _representable(values: frozenset[Operand], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return those operands that the column could hold, as an array of its own dtype."""
    if dtype.kind == "f":
        return np.array([float(value) for value in values], dtype=np.float64)
    info = np.iinfo(dtype)
    whole = [int(v) for v in values if isinstance(v, Fraction) and v.denominator == 1]
    return np.array([v for v in whole if info.min <= v <= info.max], dtype=dtype)


def _floats(predicate: Between, values: NDArray[Any]) -> BoolArray:
    mask = np.ones(len(values), dtype=np.bool_)
    if predicate.low is not None:
        low = np.float64(predicate.low)
        mask &= values > low if predicate.low_open else values >= low
    if predicate.high is not None:
        high = np.float64(predicate.high)
        mask &= values < high if predicate.high_open else values <= high
    return mask


def _whole(predicate: Between, values: NDArray[Any]) -> BoolArray:
    low, high = _closed(predicate)
    info = np.iinfo(values.dtype)
    if (low is not None and low > info.max) or (high is not None and high < info.min):
        return np.zeros(len(values), dtype=np.bool_)
    mask = np.ones(len(values), dtype=np.bool_)
    if low is not None and low > info.min:
        mask &= values >= values.dtype.type(low)
    if high is not None and high < info.max:
        mask &= values <= values.dtype.type(high)
    return mask


def _closed(predicate: Between) -> tuple[int | None, int | None]:
    """Return the smallest and the largest whole number between the ends."""
    low, high = cast("Fraction | None", predicate.low), cast("Fraction | None", predicate.high)
    first = None if low is None else math.floor(low) + 1 if predicate.low_open else math.ceil(low)
    last = (
        None if high is None else math.ceil(high) - 1 if predicate.high_open else math.floor(high)
    )
    return first, last


def _decimals(predicate: OneOf | Between, chunk: pa.Array) -> BoolArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = chunk.type
    largest = 10**kind.precision - 1

    def scalar(unscaled: int) -> pa.Scalar:
        stored = unscaled.to_bytes(kind.byte_width, "little", signed=True)
        return pa.Array.from_buffers(kind, 1, [None, pa.py_buffer(stored)])[0]

    mask = np.zeros(len(chunk), dtype=np.bool_)
    if isinstance(predicate, OneOf):
        for value in predicate.values:
            if isinstance(value, Fraction) and value.denominator == 1 and abs(value) <= largest:
                mask |= booleans_of(pc.equal(chunk, scalar(int(value))))
        return mask
    low, high = _closed(predicate)
    low = -largest if low is None else max(low, -largest)
    high = largest if high is None else min(high, largest)
    if low > high:
        return mask
    mask |= booleans_of(pc.greater_equal(chunk, scalar(low)))
    mask &= booleans_of(pc.less_equal(chunk, scalar(high)))
    return mask


def _texts(predicate: OneOf | Between | Prefix, chunk: pa.Array) -> BoolArray:
    import pyarrow.compute as pc

    # Scalars come from arrays of our own: pa.scalar would import pandas, if there is one.
    kind = chunk.type
    if isinstance(predicate, Prefix):
        return booleans_of(pc.starts_with(chunk, predicate.text))
    if isinstance(predicate, OneOf):
        words = [value for value in predicate.values if isinstance(value, str)]
        if len(words) == 1:
            return booleans_of(pc.equal(chunk, text_array(words, kind)[0]))
        return booleans_of(pc.is_in(chunk, text_array(words, kind)))
    mask = np.ones(len(chunk), dtype=np.bool_)
    # UTF-8 sorts as its code points do.
    if predicate.low is not None:
        compare = pc.greater if predicate.low_open else pc.greater_equal
        mask &= booleans_of(compare(chunk, text_array([str(predicate.low)], kind)[0]))
    if predicate.high is not None:
        compare = pc.less if predicate.high_open else pc.less_equal
        mask &= booleans_of(compare(chunk, text_array([str(predicate.high)], kind)[0]))
    return mask


def _lists_with(values: frozenset[str], chunk: pa.Array) -> BoolArray:
    """Return which lists have one of the texts."""
    wanted = _of_chunk(OneOf("", frozenset[Operand](values)), chunk.values)
    ends = list_ends(chunk)
    before = np.zeros(len(wanted) + 1, dtype=np.int64)
    np.cumsum(wanted, out=before[1:])
    counts = before[ends]
    more: BoolArray = counts[1:] > counts[:-1]
    return more
