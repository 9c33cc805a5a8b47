"""The header of a ``.npy`` file, read without numpy's own reader.

That one evaluates what it finds, believes any shape and takes pickled objects on request. Here,
a header is a dictionary of three literals, its type is one of a table, and its shape has to agree
with the bytes that are there.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from kneighbors.corpus.matrix import float_type
from kneighbors.errors import CorpusRefused

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
_MAX_HEADER_BYTES = 4096
_DESCR = re.compile(r"[<>|=]?[fiu][1248]|[<>=]?U[1-9][0-9]{0,5}")
_KINDS = {
    "O": "Python objects, which only unpickling could read, and that runs code",
    "V": "structured or raw data",
    "c": "complex numbers",
    "b": "booleans",
    "M": "dates",
    "m": "durations",
    "S": "bytes",
    "U": "texts",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a ``.npy`` file says of itself.

    Attributes
    ----------
    dtype : dtype
        Numbers of up to 8 bytes, or texts.
    is_fortran : bool
        Whether the array lies column by column.
    shape : tuple of int
        Its shape.
    start : int
        Where its bytes begin.
    """

    dtype: np.dtype[Any]
    is_fortran: bool
    shape: tuple[int, ...]
    start: int

    @property
    def data_bytes(self) -> int:
        """Length of the array itself, computed without overflow."""
        size = self.dtype.itemsize
        for length in self.shape:
            size *= length
        return size


def read_header(file: BinaryIO, where: str) -> Header:
    """Read the header at the start of a file.

    Raises
    ------
    CorpusRefused
        With code ``corpus-truncated``, ``corpus-damaged`` or ``corpus-dtype``.
    """
    start = _exactly(file, 8, where)
    if not start.startswith(_MAGIC):
        raise _refusal(where, f"Expected a .npy file, got one that begins with {start!r}.")
    version = start[6]
    if version not in _LENGTH_BYTES or start[7] != 0:
        raise _refusal(where, f"Expected version 1, 2 or 3 of .npy, got {version}.{start[7]}.")
    length = int.from_bytes(_exactly(file, _LENGTH_BYTES[version], where), "little")
    if length > _MAX_HEADER_BYTES:
        raise _refusal(
            where, f"Expected a header of at most {_MAX_HEADER_BYTES} bytes, got {length}."
        )
    text = _exactly(file, length, where).decode("utf-8" if version == 3 else "latin-1", "replace")
    try:
        fields = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise _refusal(
            where, "Expected a dictionary of literals as the header, got something else."
        ) from error
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise _refusal(where, "Expected descr, fortran_order and shape in the header.")
    shape, is_fortran = fields["shape"], fields["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise _refusal(where, "Expected a tuple of lengths as the shape, got something else.")
    if type(is_fortran) is not bool:
        raise _refusal(where, "Expected True or False as fortran_order, got something else.")
    return Header(_dtype(fields["descr"], where), is_fortran, shape, file.tell())


def check_matrix(header: Header, where: str) -> None:
    """Refuse an array that is no matrix of numbers with at least one row and one column.

    Raises
    ------
    CorpusRefused
        With code ``corpus-dtype``, ``corpus-shape`` or ``corpus-empty``.
    """
    if float_type(header.dtype) is None:
        raise _refusal_dtype(header.dtype, where)
    if len(header.shape) != 2:
        raise CorpusRefused(
            "corpus-shape",
            f"Expected a matrix of one row per item, got an array of shape {header.shape}.",
            where=where,
        )
    if 0 in header.shape:
        raise CorpusRefused(
            "corpus-empty",
            f"Expected at least one row and one column, got the shape {header.shape}.",
            where=where,
        )


def check_length(header: Header, size_bytes: int, where: str) -> None:
    """Refuse a file that is shorter or longer than its header says.

    Raises
    ------
    CorpusRefused
        With code ``corpus-truncated`` or ``corpus-damaged``.
    """
    expected = header.start + header.data_bytes
    if size_bytes != expected:
        raise CorpusRefused(
            "corpus-truncated" if size_bytes < expected else "corpus-damaged",
            f"Expected {expected} bytes for shape {header.shape} of {header.dtype}, got "
            f"{size_bytes}.",
            where=where,
            hint="Copy the file again." if size_bytes < expected else None,
        )


def _dtype(descr: object, where: str) -> np.dtype[Any]:
    if isinstance(descr, str) and _DESCR.fullmatch(descr) and descr.lstrip("<>|=") != "f1":
        return np.dtype(descr)
    try:
        dtype = np.dtype(descr) if isinstance(descr, str) and len(descr) < 16 else np.dtype("V1")
    except (TypeError, ValueError) as error:
        raise _refusal(
            where, "Expected the name of a type of numbers, got something else."
        ) from error
    raise _refusal_dtype(dtype, where)


def _refusal_dtype(dtype: np.dtype[Any], where: str) -> CorpusRefused:
    return CorpusRefused(
        "corpus-dtype",
        "Expected numbers of type float16, float32, float64 or an integer type, got "
        f"{_KINDS.get(dtype.kind, dtype.name)}.",
        where=where,
        hint="Save X.astype('float32').",
    )


def _exactly(file: BinaryIO, count: int, where: str) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise CorpusRefused(
            "corpus-truncated",
            f"Expected a header of .npy, got {len(data)} of {count} bytes.",
            where=where,
        )
    return data


def _refusal(where: str, message: str) -> CorpusRefused:
    return CorpusRefused("corpus-damaged", message, where=where)
