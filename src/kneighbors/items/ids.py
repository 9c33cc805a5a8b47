"""The gate for ids: whatever holds them, out come checked arrays.

An id is text (valid Unicode, 1 to 1,024 bytes in UTF-8) or a 64-bit integer. All ids of a
catalogue are of one kind, and each occurs once. Everything else is refused with the first rows
that are at fault; nothing is converted silently, for a float that looks whole today has a gap
tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ItemsRefused
from kneighbors.items.numbers import IntegerIds, RowNumbers
from kneighbors.items.quoting import quoted, rows_named
from kneighbors.items.texts import LONGEST_BYTES, TextIds
from kneighbors.search.rows import RowArray

_AT_ONCE = 65_536
_SEQUENCE_HINT = "Give the ids as a list, a one-dimensional array or a column."


class Ids(Protocol):
    """The ids of a catalogue, and the way back from an id to its row."""

    id_type: str

    def __len__(self) -> int: ...
    def rows_of(self, ids: Sequence[Any]) -> RowArray:
        """Return the row of each id, or refuse the first that is unknown."""

    def ids_of(self, rows: RowArray) -> Sequence[str | int]:
        """Return the id of each row."""

    def texts(self) -> Iterable[str]:
        """Return all ids as text, row by row."""

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store."""


def check_ids(n_samples: int, ids: Any) -> Ids:
    """Return ids of any container as a checked lookup.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    ids : sequence of str or int, ndarray, Arrow array, Series, or None
        One for each row; None makes the row numbers the ids.

    Raises
    ------
    ItemsRefused
        ``ids-count``, ``ids-null``, ``ids-type``, ``ids-text``, ``ids-range`` or ``ids-doubled``.
    """
    if ids is None:
        return RowNumbers(n_samples)
    values = _values(ids)
    if len(values) != n_samples:
        raise ItemsRefused(
            "ids-count",
            f"Expected {n_samples} ids, one for each row of X, got {len(values)}.",
        )
    if isinstance(values, np.ndarray):
        return IntegerIds.build(_int64(values))
    if isinstance(values, Sequence):
        return _from_objects(values)
    return TextIds.build(*_arrow_text(values))


def ids_from_parts(n_samples: int, id_type: str, parts: Mapping[str, NDArray[Any]]) -> Ids:
    """Return the lookup that `Ids.parts` came from; the parts are trusted."""
    if id_type == "row":
        return RowNumbers(n_samples)
    return IntegerIds.from_parts(parts) if id_type == "integer" else TextIds.from_parts(parts)


def _values(ids: Any) -> Any:
    """Return an integer array, an Arrow array of text, or a list of Python objects."""
    if isinstance(ids, (str, bytes, Mapping)) or ids is NotImplemented:
        raise _kind_refused(f"Expected a sequence of ids, got {quoted(ids)}.")
    if isinstance(ids, np.ma.MaskedArray):
        return ids.tolist()
    if _is_arrow_like(ids):
        return _from_arrow(_arrow(ids))
    if isinstance(ids, np.ndarray):
        return _from_numpy(ids)
    try:
        return ids if isinstance(ids, Sequence) else list(ids)
    except TypeError as error:
        raise _kind_refused(f"Expected a sequence of ids, got {quoted(ids)}.") from error


def _from_numpy(ids: NDArray[Any]) -> Any:
    if ids.ndim != 1:
        shape = ids.shape
        raise _kind_refused(f"Expected ids in one dimension, got an array of shape {shape}.")
    if ids.dtype.kind in "iu":
        return ids
    if ids.dtype.kind in "UO" or ids.dtype.kind == "T":
        return ids.tolist()
    raise _kind_refused(f"Expected ids of text or integers, got an array of {ids.dtype}.")


def _kind_refused(message: str) -> ItemsRefused:
    return ItemsRefused("ids-type", message, hint=_SEQUENCE_HINT)


def _int64(values: NDArray[Any]) -> NDArray[np.int64]:
    if values.dtype.kind == "u" and values.size and int(values.max()) > 2**63 - 1:
        (rows,) = np.nonzero(values > np.uint64(2**63 - 1))
        raise _out_of_range(int(values[rows[0]]), rows.tolist())
    return np.array(values, dtype=np.int64)


def _out_of_range(value: int, rows: Sequence[int]) -> ItemsRefused:
    return ItemsRefused(
        "ids-range",
        f"Expected integers of 64 bits with a sign, got {quoted(value)}.",
        where=rows_named(rows),
        hint="Give such ids as text.",
    )


# Arrow ------------------------------------------------------------------------------------------


def _is_arrow_like(ids: Any) -> bool:
    """Tell whether a container is an Arrow array, or a Series that gives one."""
    kind = type(ids)
    return (
        hasattr(ids, "__arrow_c_array__")
        or hasattr(ids, "__arrow_c_stream__")
        or kind.__module__.partition(".")[0] == "pandas"
    )


def _arrow(ids: Any) -> Any:
    import pyarrow as pa

    if isinstance(ids, pa.ChunkedArray):
        return ids
    try:
        if type(ids).__module__.partition(".")[0] == "pandas":
            # What pandas takes for missing is missing here, NaN between texts too.
            array = pa.array(ids, from_pandas=True)
        elif hasattr(ids, "__arrow_c_stream__"):
            array = pa.chunked_array(ids)
        else:
            array = pa.array(ids)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        # Mixed objects in a Series: gone through one by one, so that the rows can be named.
        return list(ids)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _from_arrow(array: Any) -> Any:
    if isinstance(array, list):
        return array
    import pyarrow as pa
    import pyarrow.compute as pc

    if array.null_count and not pa.types.is_null(array.type):
        rows = np.flatnonzero(pc.is_null(array).to_numpy(zero_copy_only=False))
        raise _nulls(rows.tolist())
    kind = array.type
    if pa.types.is_dictionary(kind):
        decoded = [chunk.dictionary_decode() for chunk in array.chunks]
        return _from_arrow(pa.chunked_array(decoded, kind.value_type))
    if pa.types.is_integer(kind):
        return array.to_numpy()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return array
    if kind == getattr(pa, "string_view", lambda: None)() or pa.types.is_null(kind):
        return array.to_pylist()
    raise _kind_refused(f"Expected ids of text or integers, got a column of {kind}.")


def _arrow_text(array: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of all ids and where each begins and ends."""
    import pyarrow as pa

    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise ItemsRefused("ids-text", f"Expected ids in UTF-8, got {error}.") from error
    texts: list[NDArray[np.uint8]] = []
    ends: list[NDArray[np.int64]] = [np.zeros(1, dtype=np.int64)]
    for chunk in array.chunks:
        wide = pa.types.is_large_string(chunk.type)
        _, offsets_buffer, data = chunk.buffers()
        if len(chunk) == 0 or offsets_buffer is None:
            continue
        offsets = np.frombuffer(offsets_buffer, dtype=np.int64 if wide else np.int32)
        local = offsets[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
        whole = np.frombuffer(data, dtype=np.uint8) if data else np.empty(0, dtype=np.uint8)
        texts.append(whole[local[0] : local[-1]])
        ends.append(local[1:] - local[0] + ends[-1][-1])
    offsets64 = np.concatenate(ends)
    _check_lengths(np.diff(offsets64))
    return np.concatenate(texts), offsets64


# Python objects ---------------------------------------------------------------------------------


def _from_objects(values: Sequence[Any]) -> Ids:
    nulls = [row for row, value in enumerate(values) if _is_null(value)]
    if nulls:
        raise _nulls(nulls)
    first = values[0] if len(values) else 0
    kind = _kind(first)
    wrong = [row for row, value in enumerate(values) if _kind(value) != kind or not kind]
    if wrong:
        expected = f"only {kind}" if kind else "ids of text or integers"
        raise ItemsRefused(
            "ids-type",
            f"Expected {expected}, got {quoted(values[wrong[0]])}.",
            where=rows_named(wrong),
        )
    if kind == "text":
        return TextIds.build(*_text(values))
    wide = [row for row, value in enumerate(values) if not -(2**63) <= int(value) < 2**63]
    if wide:
        raise _out_of_range(int(values[wide[0]]), wide)
    return IntegerIds.build(np.array(values, dtype=np.int64))


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (bool, np.bool_)):
        return ""
    return "integers" if isinstance(value, (int, np.integer)) else ""


def _is_null(value: Any) -> bool:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


def _nulls(rows: Sequence[int]) -> ItemsRefused:
    count = f"{len(rows)} missing" if len(rows) > 1 else "a missing one"
    return ItemsRefused(
        "ids-null", f"Expected an id in every row, got {count}.", where=rows_named(rows)
    )


def _text(values: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    lengths = np.empty(len(values), dtype=np.int64)
    pieces = []
    for start in range(0, len(values), _AT_ONCE):
        encoded = list(_encoded(values[start : start + _AT_ONCE], start))
        lengths[start : start + len(encoded)] = [len(data) for data in encoded]
        pieces.append(b"".join(encoded))
    _check_lengths(lengths)
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    return np.frombuffer(b"".join(pieces), dtype=np.uint8), offsets


def _encoded(values: Sequence[str], start: int) -> Iterator[bytes]:
    for row, value in enumerate(values, start):
        try:
            yield value.encode()
        except UnicodeEncodeError as error:
            code = ord(value[error.start])
            raise ItemsRefused(
                "ids-text",
                f"Expected valid Unicode, got half of a surrogate pair, U+{code:04X}.",
                where=f"row {row}, character {error.start}",
            ) from error


def _check_lengths(lengths: NDArray[np.int64]) -> None:
    (empty,) = np.nonzero(lengths == 0)
    if empty.size:
        raise ItemsRefused(
            "ids-text",
            "Expected ids of at least one character, got an empty one.",
            where=rows_named(empty.tolist()),
        )
    (long,) = np.nonzero(lengths > LONGEST_BYTES)
    if long.size:
        raise ItemsRefused(
            "ids-text",
            f"Expected ids of at most {LONGEST_BYTES:,} bytes in UTF-8, "
            f"got one of {int(lengths[long[0]]):,}.",
            where=rows_named(long.tolist()),
        )
