"""Arrays to and from the bodies of requests. Pickled data is never read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import BodyRefused
from kneighbors.formats.npy import MAGIC, write_array

from . import content_types
from .errors import ClientError, UnsupportedFormatError

Array = NDArray[Any]


def array_to_npy(array_like: Any) -> bytes:
    """Return the ``.npy`` file of an array."""
    array = np.asarray(array_like)
    if array.dtype in (np.int64, np.float32, np.float64):
        return write_array(array)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def npy_to_numpy(npy_array: bytes) -> Array:
    """Return the array of a ``.npy`` file, which must not hold objects."""
    if not npy_array.startswith(MAGIC):
        raise ClientError("Expected a .npy file, which begins with \\x93NUMPY.")
    try:
        array: Array = np.load(io.BytesIO(npy_array), allow_pickle=False)
    except (ValueError, EOFError, BodyRefused) as error:
        raise ClientError(f"Expected a whole .npy file of numbers: {error}") from error
    return array


def array_to_json(array_like: Any) -> str:
    """Return the JSON text of an array, or of lists and objects with arrays in them."""

    def plain(value: Any) -> Any:
        if hasattr(value, "tolist"):
            return value.tolist()
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    return json.dumps(array_like, default=plain)


def json_to_numpy(string_like: str | bytes, dtype: Any = None) -> Array:
    """Return the array of a JSON text."""
    return np.array(json.loads(string_like), dtype=dtype)


def array_to_csv(array_like: Any) -> str:
    """Return the lines of an array: a row each, or a value each of a vector."""
    array = np.array(array_like)
    rows = array.reshape(-1, 1) if array.ndim < 2 else array
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows.tolist())
    return stream.getvalue()


def csv_to_numpy(string_like: str, dtype: Any = None) -> Array:
    """Return the array of lines of numbers or texts; one line or one column gives a vector."""
    try:
        rows = list(csv.reader(io.StringIO(string_like), strict=True))
        array: Array = np.array(rows).squeeze()
        return array.astype(dtype)
    except (csv.Error, ValueError) as error:
        raise ClientError(f"Expected lines of equal length: {error}. dtype is: {dtype}") from error


_ENCODERS: dict[str, Callable[[Any], str | bytes]] = {
    content_types.NPY: array_to_npy,
    content_types.CSV: array_to_csv,
    content_types.JSON: array_to_json,
}
_DECODERS: dict[str, Callable[[Any], Array]] = {
    content_types.NPY: npy_to_numpy,
    content_types.CSV: csv_to_numpy,
    content_types.JSON: json_to_numpy,
}


def encode(array_like: Any, content_type: str) -> Any:
    """Return an array as text (CSV, JSON) or bytes (``.npy``)."""
    if content_type not in _ENCODERS:
        raise UnsupportedFormatError(content_type)
    return _ENCODERS[content_type](array_like)


def decode(obj: Any, content_type: str) -> Array:
    """Return the array of a text (CSV, JSON) or of bytes (``.npy``)."""
    if content_type not in _DECODERS:
        raise UnsupportedFormatError(content_type)
    return _DECODERS[content_type](obj)
