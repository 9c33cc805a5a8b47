"""What a user's predict_fn returns, written in the format that a client accepts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import BodyRefused, ScriptError
from kneighbors.formats import CSV, JSON, JSONLINES, NPY, negotiate
from kneighbors.formats.json import dump
from kneighbors.formats.npy import write_array

_CSV_DIMENSIONS = 2


def write_value(value: Any, accept: str | None) -> tuple[bytes, str]:
    """Return a value as bytes, and their content type.

    Parameters
    ----------
    value : ndarray, number, text, or lists, tuples and dicts of them
        ``[distances, indices]`` of equal shapes is one array of numbers.
    accept : str or None
        Whatever is acceptable; JSON where everything is.

    Returns
    -------
    body : bytes
    content_type : str

    Raises
    ------
    BodyRefused
        With code ``accept-unsupported``, where no acceptable format has a place for the value.
    ScriptError
        With code ``script-failed``, for values that JSON does not know.

    Examples
    --------
    >>> write_value((np.array([0.0, 0.5]), np.array([7, 3])), "application/json")
    (b'[[0.0,0.5],[7,3]]', 'application/json')
    """
    accepted = negotiate(accept, JSON)
    try:
        plain = _plain(value)
        if accepted.name == JSON:
            return dump(plain), accepted.content_type
        if accepted.name == JSONLINES:
            records = plain if isinstance(plain, list) else [plain]
            return b"".join(dump(one) + b"\n" for one in records), accepted.content_type
    except (RecursionError, ValueError) as error:
        raise ScriptError(
            "script-failed", f"Expected predict_fn to return what JSON can hold, got {error}."
        ) from error
    array = _numbers(value)
    if array is None or (accepted.name == CSV and array.ndim > _CSV_DIMENSIONS):
        raise BodyRefused(
            "accept-unsupported",
            f"Expected an Accept header that allows {JSON}, since the answer of this script has "
            f"no place in {accepted.name}.",
        )
    if accepted.name == NPY:
        return write_array(array), accepted.content_type
    # A line for each value of a vector, as AWS's toolkits write one.
    rows = array.reshape(-1, 1) if array.ndim < _CSV_DIMENSIONS else array
    lines = [",".join(map(repr, row)) for row in rows.tolist()]
    return ("\n".join(lines) + "\n").encode(), CSV


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ScriptError(
        "script-failed",
        f"Expected predict_fn to return arrays, numbers or text, got {type(value).__name__}.",
        hint="Return those, or bring an output_fn that writes what you return.",
    )


def _numbers(value: Any) -> NDArray[Any] | None:
    """Return a value as an array that a ``.npy`` file may hold, None if it is no such thing."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    if array.dtype == np.uint64 and array.max(initial=0) > np.iinfo(np.int64).max:
        return None
    if array.dtype.kind in "bui":
        return array.astype(np.int64)
    return array.astype(np.float64) if array.dtype.kind == "f" else None
