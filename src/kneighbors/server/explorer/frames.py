"""Arrays with a JSON header, as the page reads them: bytes that need no parsing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONTENT_TYPE = "application/octet-stream"

_ALIGNMENT = 4


def frame(header: dict[str, Any], *arrays: NDArray[Any]) -> bytes:
    r"""Return a header and arrays as one string of bytes.

    Parameters
    ----------
    header : dict
        What JSON can hold.
    *arrays : ndarray
        Written little-endian, one after the other, each beginning at a multiple of four.

    Returns
    -------
    bytes
        The header's length as a 32-bit integer, the header, the arrays.

    Examples
    --------
    >>> frame({"n": 2}, np.array([1, 2], np.uint16))
    b'\x08\x00\x00\x00{"n": 2}\x01\x00\x02\x00'
    """
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)  # which JSON lets stand at the end
    pieces = [len(text).to_bytes(4, "little"), text]
    for array in arrays:
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        pieces += [data, b"\0" * (-len(data) % _ALIGNMENT)]
    return b"".join(pieces)
