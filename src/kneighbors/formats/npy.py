r"""``application/x-npy``: numpy's own file format, read strictly from bytes.

numpy's reader is not used. It was written for files that one trusts: it believes the header's
length and shape before it looks at the data, and its header is a Python literal of any kind. Here
a header is one line of a fixed form, and the body must be as long as it says, to the byte.

Format: ``\x93NUMPY``, a version of two bytes, the header's length (2 bytes in version 1, 4 in
versions 2 and 3, little-endian), the header, the data.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import BodyRefused
from kneighbors.formats.answer import Answer
from kneighbors.formats.limits import Limits
from kneighbors.formats.media import MediaType
from kneighbors.formats.request import FloatArray, Payload
from kneighbors.formats.text import shown

MAGIC = b"\x93NUMPY"
#: Longer headers are refused; that of a matrix has 118 characters.
MAX_HEADER_BYTES = 4_096

_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
_PAIR = r"""(?:'descr'|'fortran_order'|'shape')[ ]*:[ ]*(?:'[^']*'|True|False|\([0-9, ]*\))"""
_HEADER = re.compile(rf"\{{[ ]*{_PAIR}(?:[ ]*,[ ]*{_PAIR}){{2}}[ ]*,?[ ]*\}}[ ]*\n?")
_DESCR = re.compile(r"'descr'[ ]*:[ ]*'([^']*)'")
_ORDER = re.compile(r"'fortran_order'[ ]*:[ ]*(True|False)")
_SHAPE = re.compile(r"'shape'[ ]*:[ ]*\(([0-9, ]*)\)")
_LENGTHS = re.compile(r"(?:0|[1-9][0-9]{0,18})(?:[ ]*,[ ]*(?:0|[1-9][0-9]{0,18}))*[ ]*(,?)[ ]*")
_STRUCTURED = re.compile(r"'descr'[ ]*:[ ]*[\[(]")

# What a type is read as: float32 holds float16 and integers of up to 16 bits exactly.
_TARGETS: dict[str, type[np.float32] | type[np.float64]] = {
    "f2": np.float32,
    "f4": np.float32,
    "f8": np.float64,
    "i1": np.float32,
    "u1": np.float32,
    "i2": np.float32,
    "i4": np.float64,
    "i8": np.float64,
}
_DTYPES: dict[str, tuple[np.dtype[Any], np.dtype[Any]]] = {
    order + name: (np.dtype(order + name), np.dtype(target))
    for name, target in _TARGETS.items()
    for order in ("<>|" if name.endswith("1") else "<>")
}


def read_array(body: bytes, dimensions: tuple[int, ...] = (1, 2)) -> FloatArray:
    """Return the array that a ``.npy`` body holds.

    Parameters
    ----------
    body : bytes
    dimensions : tuple of int, default=(1, 2)
        How many dimensions it may have.

    Returns
    -------
    ndarray, dtype float32 or float64
        Of shape (n_features,) or (n_queries, n_features), unless `dimensions` says otherwise. In
        native byte order, C-contiguous and aligned; a read-only view of `body` where nothing had to
        be converted. float16 and integers of up to 16 bits become float32, wider integers
        float64. Values may be NaN or infinite: the gate refuses them.

    Raises
    ------
    BodyRefused
        With code ``body-empty``, ``body-npy`` (no such file, or a header out of form),
        ``body-dtype``, ``body-shape``, ``body-no-queries`` or ``body-length``.

    Notes
    -----
    Allocates nothing for float32 and float64 in C order, and at most four times the body (int8).

    Examples
    --------
    >>> read_array(write_array(np.array([0.5, 0.25])))
    array([0.5 , 0.25])
    """
    header, start = _read_header(body)
    dtype, target, fortran, shape = _parse_header(header, dimensions)
    data = len(body) - start
    expected = dtype.itemsize
    for length in shape:
        expected *= length
    if data != expected:
        raise BodyRefused(
            "body-length",
            f"Expected {expected} bytes of data for the shape {shape} of {dtype.str}, got {data}.",
            where=f"byte {min(len(body), start + expected)}",
        )
    array = np.frombuffer(body, dtype=dtype, offset=start)
    if len(shape) > 1:
        array = array.reshape(shape, order="F" if fortran else "C")
    if dtype is target and not fortran and array.flags.aligned:
        return array
    return np.array(array, dtype=target, order="C")


def write_array(array: NDArray[Any]) -> bytes:
    """Return a numeric array as a ``.npy`` body, version 1.0, as numpy writes it.

    Parameters
    ----------
    array : ndarray
        float32, float64 or int64; written in C order and little-endian.
    """
    dtype = array.dtype.newbyteorder("<")
    return _header(dtype.str, array.shape) + array.astype(dtype, order="C", copy=False).tobytes()


def decode(body: bytes, media: MediaType, limits: Limits) -> Payload:
    """Return the queries of a body: a vector, or a matrix of them.

    Raises
    ------
    BodyRefused
        As `read_array`, and with code ``rows-too-many``.
    """
    array = read_array(body)
    single = array.ndim == 1
    vectors = array.reshape(1, -1) if single else array
    if len(vectors) > limits.max_rows:
        raise BodyRefused(
            "rows-too-many",
            f"Expected at most {limits.max_rows} queries, got {len(vectors)}.",
            hint="Send them in several requests.",
        )
    return Payload(vectors=vectors, single=single)


def encode(answer: Answer, parameters: dict[str, str]) -> bytes:
    """Return distances over indices: (2, k) for a lone vector, (2, n, k) for a batch, float64.

    float64 holds every row number up to 2**53.
    """
    distances = np.asarray(answer.distances, dtype="<f8")
    shape = distances.shape[1:] if answer.single else distances.shape
    indices = np.asarray(answer.indices).astype("<f8")
    return b"".join((_header("<f8", (2, *shape)), distances.tobytes(), indices.tobytes()))


@lru_cache(maxsize=256)
def _header(descr: str, shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    # The data starts at a multiple of 64 bytes, so that it can be mapped aligned.
    padding = -(len(MAGIC) + 4 + len(text) + 1) % 64
    text += b" " * padding + b"\n"
    return MAGIC + b"\x01\x00" + len(text).to_bytes(2, "little") + text


def _read_header(body: bytes) -> tuple[str, int]:
    if not body:
        raise BodyRefused(
            "body-empty", "Expected at least one query, got an empty body.", where="byte 0"
        )
    if not body.startswith(MAGIC):
        _refuse("Expected the magic string of a .npy file, got other bytes", 0)
    version = body[6:8]
    size = _LENGTH_BYTES.get(version)
    if size is None:
        if len(version) < 2:
            _refuse("Expected a format version of two bytes, got the end of the body", len(body))
        _refuse(f"Expected the format version 1.0, 2.0 or 3.0, got {version[0]}.{version[1]}", 6)
    start = 8 + size
    if len(body) < start:
        _refuse("Expected the length of the header, got the end of the body", len(body))
    length = int.from_bytes(body[8:start], "little")
    if length > MAX_HEADER_BYTES:
        _refuse(f"Expected a header of at most {MAX_HEADER_BYTES} bytes, got {length}", 8)
    stop = start + length
    if len(body) < stop:
        _refuse(f"Expected a header of {length} bytes, got {len(body) - start}", len(body))
    return body[start:stop].decode("latin-1"), stop


def _parse_header(
    header: str, dimensions: tuple[int, ...]
) -> tuple[np.dtype[Any], np.dtype[Any], bool, tuple[int, ...]]:
    descr, order, shape = _DESCR.search(header), _ORDER.search(header), _SHAPE.search(header)
    if _HEADER.fullmatch(header) is None or descr is None or order is None or shape is None:
        if _STRUCTURED.search(header):
            _refuse_dtype("a structured type")
        _refuse(
            "Expected a header with 'descr', 'fortran_order' and 'shape', each once, got "
            + shown(header.strip()),
            10,
        )
    found = _DTYPES.get(descr[1])
    if found is None:
        _refuse_dtype(shown(descr[1]))
    return *found, order[1] == "True", _parse_shape(shape[1], dimensions)


def _parse_shape(text: str, dimensions: tuple[int, ...]) -> tuple[int, ...]:
    lengths = _LENGTHS.fullmatch(text.strip())
    numbers = tuple(map(int, text.replace(",", " ").split())) if lengths else ()
    # `(5,)` is a vector and `()` a lone number, while `(5)` would be none of both in Python.
    if lengths is None or (len(numbers) == 1 and not lengths[1]) or len(numbers) not in dimensions:
        raise BodyRefused(
            "body-shape",
            f"Expected an array of {' or '.join(map(str, dimensions))} dimensions, got the shape "
            f"({shown(text)[1:-1]}).",
            where="byte 10",
        )
    if 0 in numbers:
        raise BodyRefused(
            "body-no-queries" if numbers[0] == 0 and len(numbers) == 2 else "body-shape",
            f"Expected at least one query and one feature, got the shape {numbers}.",
            where="byte 10",
        )
    return numbers


def _refuse(message: str, offset: int) -> Never:
    raise BodyRefused(
        "body-npy",
        f"{message}.",
        where=f"byte {offset}",
        hint="Write the array with numpy.save.",
    )


def _refuse_dtype(got: str) -> Never:
    raise BodyRefused(
        "body-dtype",
        f"Expected plain numbers, one of {', '.join(_TARGETS)}, got {got}.",
        where="byte 10",
        hint="Convert with array.astype('float32'); objects are never unpickled.",
    )
