r"""Headers of ``.npy`` files, written and read strictly.

A header here is ``\x93NUMPY``, version 1.0, its length in two bytes, and one line of fixed form
that tells dtype, order and shape. numpy's own reader evaluates that line as a Python literal and
believes it; this one matches it against a pattern and compares it with the length of the file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArtifactError

#: Longest header that is read, magic string and length included; ours have 128 bytes.
MAX_HEADER_BYTES = 4096

#: Little-endian numbers, and nothing that needs an interpreter or a conversion.
DTYPES = frozenset({"<f2", "<f4", "<f8", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8"})

_MAGIC = b"\x93NUMPY\x01\x00"
_LINE = re.compile(
    r"\{'descr': '([<|][fiu][1248])', 'fortran_order': False, "
    r"'shape': \(([0-9]{1,18}),(?: ([0-9]{1,18}))?\), \} *\n"
)


@dataclass(frozen=True)
class Header:
    """What a ``.npy`` header says.

    Attributes
    ----------
    dtype : str
        Such as ``"<f4"``.
    shape : tuple of int
        One or two lengths.
    offset : int
        Where the data begins, in bytes from the start of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def data_bytes(self) -> int:
        """Length of the data."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def dtype_code(dtype: np.dtype[Any]) -> str:
    """Return the code of a dtype in a file, such as ``"<f4"``.

    Raises
    ------
    TypeError
        When a part of this dtype cannot be stored.
    """
    code = dtype.newbyteorder("<").str
    if code not in DTYPES:
        raise TypeError(f"Arrays of dtype {dtype} cannot be stored in an artifact.")
    return code


def build_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return the header of an array in C order, a multiple of 64 bytes long.

    Examples
    --------
    >>> header = build_header("<f4", (2, 3))
    >>> len(header), header[10:69].decode()
    (128, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }")
    """
    if not 1 <= len(shape) <= 2:
        raise TypeError(f"Arrays of {len(shape)} dimensions cannot be stored in an artifact.")
    line = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {tuple(map(int, shape))}, }}"
    # numpy leaves 21 digits of room for the first length, and so does this.
    line += " " * (21 - len(str(shape[0])))
    line += " " * (-(len(_MAGIC) + 2 + len(line) + 1) % 64) + "\n"
    return _MAGIC + len(line).to_bytes(2, "little") + line.encode()


def parse_header(start: bytes, file_bytes: int, where: str) -> Header:
    """Return what the header says, if it is of the fixed form and the file is as long as it says.

    Parameters
    ----------
    start : bytes
        The first `MAX_HEADER_BYTES` of the file, or all of it.
    file_bytes : int
        Length of the file.
    where : str
        Name of the file, for messages.

    Raises
    ------
    ArtifactError
        ``artifact-invalid``.

    Examples
    --------
    >>> parse_header(build_header("<f4", (2, 3)), 128 + 24, "head.npy")
    Header(dtype='<f4', shape=(2, 3), offset=128)
    """
    if start[:8] != _MAGIC:
        raise _invalid("Expected a .npy file of version 1.0, got other bytes.", where, 0)
    offset = 10 + int.from_bytes(start[8:10], "little")
    if offset > min(MAX_HEADER_BYTES, len(start)) or offset % 64:
        limit = f"a multiple of 64 up to {MAX_HEADER_BYTES} and within the file"
        raise _invalid(f"Expected a header of {limit}, got {offset} bytes.", where, 8)
    line = _LINE.fullmatch(start[10:offset].decode("latin-1"))
    if line is None or line[1] not in DTYPES:
        raise _invalid("Expected a header of the fixed form, got another.", where, 10)
    shape = tuple(int(length) for length in line.groups()[1:] if length is not None)
    header = Header(line[1], shape, offset)
    if offset + header.data_bytes != file_bytes:
        raise _invalid(
            f"Expected {offset + header.data_bytes} bytes for {header.dtype} of shape {shape}, "
            f"got {file_bytes}.",
            where,
            offset,
        )
    return header


def array_of(data: Any, header: Header) -> NDArray[Any]:
    """Return the array in the bytes of a whole ``.npy`` file, without a copy."""
    count = header.data_bytes // np.dtype(header.dtype).itemsize
    flat: NDArray[Any] = np.frombuffer(data, header.dtype, count, header.offset)
    return flat.reshape(header.shape)


def _invalid(message: str, where: str, offset: int) -> ArtifactError:
    return ArtifactError("artifact-invalid", message, where=f"{where}, byte {offset}")
