"""The library built from ``kernel.c``: products of codes, and what reaches a threshold.

It decides how long a query takes, never what the answer is: sums are of integers, and exact. It is
there for 64-bit Linux on processors with AVX2; elsewhere `kneighbors.search.accelerator` has
NumKong's product, or none. ``KNEIGHBORS_KERNEL=off`` does without it.
`docs/decisions/0013-kernel.md` says why it is, and `scripts/kernel` builds it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.crew import together
from kneighbors.search.rounding import MOST_CODE
from kneighbors.search.rows import RowArray
from kneighbors.search.topk import IntArray

Int8Array = NDArray[np.int8]
Int16Array = NDArray[np.int16]
Int32Array = NDArray[np.int32]

#: As in ``kernel.c``.
_GROUP, _PIECE, _LANE = 32, 512, 8
#: Bytes of codes that a thread takes at a time; bytes, times queries, that are worth a thread.
_TURN_BYTES, _WORTH_A_THREAD = 1 << 19, 1 << 25
#: Pairs for which there is room at first.
_PAIRS = 1 << 14
#: Pieces that are packed at a time.
_PACKED = 64


@lru_cache(maxsize=1)
def library() -> Any:
    """Return the library; None where it cannot be used."""
    home = f"kernel-{sys.platform}-{platform.machine()}.so"
    path = Path(__file__).with_name(home)
    if os.environ.get("KNEIGHBORS_KERNEL") == "off" or not path.is_file():
        return None
    try:
        found = ctypes.CDLL(str(path))
    except OSError:
        # A file system that nothing may be run from.
        return None
    if not found.kneighbors_is_usable():
        return None
    number, address = ctypes.c_int64, ctypes.c_void_p
    codes, pairs = (address, number, number), (address, address, address, number)
    found.kneighbors_multiply.restype = None
    found.kneighbors_multiply.argtypes = (*codes, address, number, address, address)
    found.kneighbors_reaching.restype = number
    found.kneighbors_reaching.argtypes = (address, address, number, number, *pairs)
    return found


class KernelCodes:
    """Codes in the order in which the kernel reads them: a private copy.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_columns), dtype int8

    Attributes
    ----------
    piece_rows : int
        Rows that one product covers.
    dtype : dtype
        Of the queries' integers.
    most : int
        The largest of these for which no sum overflows.
    """

    piece_rows = _PIECE
    dtype = np.dtype(np.int16)

    def __init__(self, codes: Int8Array) -> None:
        n_samples, n_columns = codes.shape
        self._n_pairs = -(-n_columns // 2)
        self.most = min(2**15 - 1, (2**31 - 1) // (MOST_CODE * 2 * self._n_pairs))
        n_pieces = -(-n_samples // _PIECE)
        lanes = _PIECE // _GROUP
        # Two columns of a row are one number of 16 bits, and stay together.
        self._codes = np.empty((n_pieces, lanes, self._n_pairs, _GROUP), np.int16)
        for piece in range(0, n_pieces, _PACKED):
            into = self._codes[piece : piece + _PACKED]
            block = codes[piece * _PIECE : (piece + _PACKED) * _PIECE]
            padded = np.zeros((len(into) * _PIECE, 2 * self._n_pairs), np.int8)
            padded[: len(block), :n_columns] = block
            pairs = padded.view(np.int16).reshape(len(into), lanes, _GROUP, self._n_pairs)
            into[:] = pairs.transpose(0, 1, 3, 2)

    def multiply(self, integers: Int16Array, first: int, out: Int32Array) -> Int32Array:
        """Write the products with some queries into `out`, from row `first`, where a piece begins.

        Parameters
        ----------
        integers : ndarray of shape (n_queries, n_columns), dtype int16
        first : int
        out : ndarray of shape (n_pieces, n_queries, 512), dtype int32
            C-contiguous. Products with rows beyond the last one are zero.

        Returns
        -------
        ndarray of shape (n_pieces, n_queries, 8), dtype int32
            The largest of every eighth product of a piece.
        """
        n_pieces, n_queries, _ = out.shape
        width = 2 * self._n_pairs
        padded = np.zeros((n_queries, width), np.int16)
        padded[:, : integers.shape[1]] = integers
        codes = self._codes[first // _PIECE : first // _PIECE + n_pieces]
        maxima = np.empty((n_pieces, n_queries, _LANE), np.int32)
        n_threads = codes.nbytes * n_queries // _WORTH_A_THREAD
        step = max(1, _TURN_BYTES // (_PIECE * width)) if n_threads > 1 else n_pieces
        run = library().kneighbors_multiply
        turns = count(0, step)

        def work() -> None:
            while (turn := next(turns)) < n_pieces:
                part = slice(turn, turn + step)
                bounds, most = out[part], maxima[part]
                run(
                    *(codes[part].ctypes.data, len(bounds), self._n_pairs),
                    *(padded.ctypes.data, n_queries, bounds.ctypes.data, most.ctypes.data),
                )

        together(work, n_threads)
        return maxima


def maxima_of(bounds: Int32Array) -> Int32Array:
    """Return the largest of every eighth bound of a piece, as `KernelCodes.multiply` does."""
    n_pieces, n_queries, width = bounds.shape
    lanes = bounds.reshape(n_pieces, n_queries, width // _LANE, _LANE)
    return np.asarray(lanes.max(axis=2))


def reaching(
    bounds: Int32Array, maxima: Int32Array, thresholds: Int32Array
) -> tuple[IntArray, RowArray]:
    """Return the pairs (query, column) whose bound is not below the query's threshold.

    Parameters
    ----------
    bounds : ndarray of shape (n_pieces, n_queries, 512), dtype int32
        C-contiguous.
    maxima : ndarray of shape (n_pieces, n_queries, 8), dtype int32
        No less than the largest of every eighth bound of a piece.
    thresholds : ndarray of shape (n_queries,), dtype int32
    """
    n_pieces, n_queries, _ = bounds.shape
    run = library().kneighbors_reaching
    room = _PAIRS
    while True:
        queries, columns = np.empty(room, np.intp), np.empty(room, np.int64)
        found = run(
            *(bounds.ctypes.data, maxima.ctypes.data, n_pieces, n_queries),
            *(thresholds.ctypes.data, queries.ctypes.data, columns.ctypes.data, room),
        )
        if found <= room:
            return queries[:found], columns[:found]
        room = found
