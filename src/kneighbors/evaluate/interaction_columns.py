"""Columns of a file of interactions as arrays; what cannot be one is refused with its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import InteractionsRefused
from kneighbors.items.quoting import quoted, rows_named

if TYPE_CHECKING:
    import pyarrow as pa

Float64Array = NDArray[np.float64]


def codes_of(column: pa.ChunkedArray, where: str) -> tuple[NDArray[np.int64], list[Any]]:
    """Return a column of text or integers as numbers from 0 on, and what each number stands for.

    Raises
    ------
    InteractionsRefused
        ``interactions-missing`` or ``interactions-type``.
    """
    import pyarrow as pa

    _refuse_missing(column, where)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if not is_text and not pa.types.is_integer(column.type):
        raise InteractionsRefused(
            "interactions-type",
            f"Expected text or integers, got a column of {column.type}.",
            where=where,
        )
    kind = pa.string() if is_text else pa.int64()
    try:
        encoded = column.cast(kind).combine_chunks().dictionary_encode()
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InteractionsRefused(
            "interactions-type",
            f"Expected integers of 64 bits, got others ({reason}).",
            where=where,
        ) from error
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def numbers_of(column: pa.ChunkedArray, where: str) -> Float64Array:
    """Return a column of finite numbers.

    Raises
    ------
    InteractionsRefused
        ``interactions-missing`` or ``interactions-weight``.
    """
    import pyarrow as pa

    _refuse_missing(column, where)
    if not pa.types.is_integer(column.type) and not pa.types.is_floating(column.type):
        raise InteractionsRefused(
            "interactions-weight", f"Expected numbers, got a column of {column.type}.", where=where
        )
    numbers: Float64Array = column.to_numpy().astype(np.float64)
    (wrong,) = np.nonzero(~np.isfinite(numbers))
    if wrong.size:
        raise InteractionsRefused(
            "interactions-weight",
            f"Expected finite numbers, got {numbers[wrong[0]]}.",
            where=f"{where}, {rows_named(wrong.tolist())}",
        )
    return numbers


def times_of(column: pa.ChunkedArray, where: str) -> Float64Array:
    """Return a column of times as numbers that grow with them.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Timestamps, dates, numbers of any unit, or text in ISO 8601: ``2026-11-28``,
        ``2026-11-28T09:30:00`` or ``2026-11-28T09:30:00Z``.
    where : str
        Where it is.

    Returns
    -------
    ndarray of shape (n,), dtype float64
        Of times and dates, seconds since 1970 in UTC, where a time without a zone is taken for one.

    Raises
    ------
    InteractionsRefused
        ``interactions-missing`` or ``interactions-time``.
    """
    import pyarrow as pa

    _refuse_missing(column, where)
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers: Float64Array = column.to_numpy().astype(np.float64)
        (wrong,) = np.nonzero(~np.isfinite(numbers))
        if wrong.size:
            raise _no_time(f"{numbers[wrong[0]]}", where, wrong.tolist())
        return numbers
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _seconds(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _parsed(column, where)
    raise InteractionsRefused(
        "interactions-time", f"Expected times, got a column of {kind}.", where=where
    )


def time_of(text: str, where: str) -> float:
    """Return one time as `times_of` does; a number stands for itself.

    Examples
    --------
    >>> time_of("1970-01-02", "--cutoff"), time_of("12.5", "--cutoff")
    (86400.0, 12.5)
    """
    import pyarrow as pa

    try:
        return float(times_of(pa.chunked_array([[float(text)]]), where)[0])
    except ValueError:
        return float(times_of(pa.chunked_array([[text]]), where)[0])


def _parsed(column: pa.ChunkedArray, where: str) -> Float64Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    # A zone is given by all or by none, for Arrow; here each line may do as it likes.
    has_zone = pc.match_substring_regex(column, r"[T ].*(Z|[+-]\d\d:?\d\d)$")
    seconds = np.empty(len(column))
    for zone in (None, "UTC"):
        is_such = has_zone if zone else pc.invert(has_zone)
        (places,) = np.nonzero(is_such.to_numpy(zero_copy_only=False))
        part = column.take(pa.array(places))
        try:
            seconds[places] = _seconds(part.cast(pa.timestamp("us", zone)))
        except pa.ArrowInvalid:
            wrong = [
                (place, text)
                for place, text in zip(places.tolist(), part.to_pylist(), strict=True)
                if not _is_time(text, zone)
            ]
            raise _no_time(quoted(wrong[0][1]), where, [place for place, _ in wrong]) from None
    return seconds


def _is_time(text: str, zone: str | None) -> bool:
    import pyarrow as pa

    try:
        pa.array([text]).cast(pa.timestamp("us", zone))
    except pa.ArrowInvalid:
        return False
    return True


def _seconds(column: pa.ChunkedArray) -> Float64Array:
    import pyarrow as pa

    whole = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
    microseconds: Float64Array = whole.cast(pa.int64()).to_numpy().astype(np.float64)
    return microseconds / 1e6


def _no_time(shown: str, where: str, rows: list[int]) -> InteractionsRefused:
    return InteractionsRefused(
        "interactions-time",
        f"Expected a time, got {shown}.",
        where=f"{where}, {rows_named(rows)}",
        hint="Write it as 2026-11-28, as 2026-11-28T09:30:00Z, or as a number.",
    )


def _refuse_missing(column: pa.ChunkedArray, where: str) -> None:
    import pyarrow.compute as pc

    if column.null_count:
        rows = np.flatnonzero(pc.is_null(column).to_numpy()).tolist()
        raise InteractionsRefused(
            "interactions-missing",
            "Expected a value in every line, got none.",
            where=f"{where}, {rows_named(rows)}",
        )
