"""Columns of an attribute table as numpy arrays, without a copy where the layout allows it.

pyarrow's own way to numpy asks pandas, if there is one; a server is not to load it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

BoolArray = NDArray[np.bool_]


def valid_of(chunk: pa.Array) -> BoolArray:
    """Tell of each value whether it is there; NaN is a missing number."""
    import pyarrow.types as kinds

    if kinds.is_null(chunk.type):
        return np.zeros(len(chunk), dtype=np.bool_)
    bitmap = chunk.buffers()[0]
    valid = np.ones(len(chunk), dtype=np.bool_) if bitmap is None else _bits(bitmap, chunk)
    if kinds.is_floating(chunk.type):
        valid &= ~np.isnan(numbers_of(chunk))
    if kinds.is_dictionary(chunk.type):
        valid &= spread(valid_of(chunk.dictionary), chunk)
    return valid


def booleans_of(chunk: pa.Array) -> BoolArray:
    """Return the values of a boolean column; what stands for missing ones is not defined."""
    return _bits(chunk.buffers()[1], chunk) if len(chunk) else np.zeros(0, dtype=np.bool_)


def numbers_of(chunk: pa.Array) -> NDArray[Any]:
    """Return a column of fixed width as it is stored: numbers, or counts of days or seconds."""
    import pyarrow.types as kinds

    kind = chunk.type
    letter = "f" if kinds.is_floating(kind) else "u" if kinds.is_unsigned_integer(kind) else "i"
    dtype = np.dtype(f"<{letter}{kind.bit_width // 8}")
    if not len(chunk):
        return np.zeros(0, dtype=dtype)
    data = chunk.buffers()[1]
    return np.frombuffer(data, dtype=dtype, count=len(chunk), offset=chunk.offset * dtype.itemsize)


def spread(of_words: BoolArray, chunk: pa.Array) -> BoolArray:
    """Return for each row of a dictionary-encoded column what is true of its word."""
    codes = numbers_of(chunk.indices)
    if not len(of_words):
        return np.zeros(len(codes), dtype=np.bool_)
    # The code of a missing value may be any number.
    return np.take(of_words, codes, mode="clip")


def list_ends(chunk: pa.Array) -> NDArray[np.int64]:
    """Return where each list begins among the values of all, and where the last one ends."""
    import pyarrow.types as kinds

    ends: NDArray[np.int64]
    if kinds.is_fixed_size_list(chunk.type):
        ends = np.arange(chunk.offset, chunk.offset + len(chunk) + 1) * chunk.type.list_size
        return ends
    ends = numbers_of(chunk.offsets).astype(np.int64, copy=False)
    return ends


def text_array(words: Sequence[str], kind: pa.DataType) -> pa.Array:
    """Return texts as an Arrow array of ``string`` or ``large_string``."""
    import pyarrow as pa

    data = [word.encode() for word in words]
    ends = np.zeros(len(data) + 1, dtype=np.int64 if pa.types.is_large_string(kind) else np.int32)
    np.cumsum([len(piece) for piece in data], out=ends[1:])
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(data))]
    return pa.Array.from_buffers(kind, len(data), buffers)


def _bits(bitmap: pa.Buffer, chunk: pa.Array) -> BoolArray:
    start, stop = chunk.offset, chunk.offset + len(chunk)
    octets = np.frombuffer(bitmap, dtype=np.uint8)[start // 8 : -(-stop // 8)]
    bits = np.unpackbits(octets, bitorder="little")[start % 8 : start % 8 + len(chunk)]
    return bits.view(np.bool_)
