"""Products of small integers: by the kernel where it runs, else by NumKong (the extra ``fast``).

They decide how long a query takes, never what the answer is: the products are exact.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.crew import together
from kneighbors.search.kernel import KernelCodes, library
from kneighbors.search.rounding import MOST_CODE

Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]

#: Rows that one product covers: those of a batch stay in the cache.
_PIECE_ROWS = 1 << 14
#: Pieces, times queries, below which another thread takes longer to wake than to work.
_WORTH_A_THREAD = 4
#: Rows of a piece are a multiple of this, and bytes of a row an odd multiple of that.
_ROWS_STEP, _BYTES_STEP = 64, 16


class Codes(Protocol):
    """Codes ready to be multiplied.

    Attributes
    ----------
    piece_rows : int
        Rows that one product covers.
    dtype : dtype
        Of the queries' integers: int8 or int16.
    most : int
        The largest of these.
    """

    @property
    def piece_rows(self) -> int:
        """As above."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As above."""

    @property
    def most(self) -> int:
        """As above."""

    def multiply(self, integers: NDArray[Any], first: int, out: Int32Array) -> Int32Array | None:
        """Write the products of codes and queries into `out`, from row `first`.

        Parameters
        ----------
        integers : ndarray of shape (n_queries, n_columns)
        first : int
            Where a piece begins.
        out : ndarray of shape (n_pieces, n_queries, piece_rows), dtype int32
            C-contiguous. Products with rows beyond the last one are zero.

        Returns
        -------
        ndarray of shape (n_pieces, n_queries, n_groups), dtype int32, or None
            The largest of the products that are ``n_groups`` apart in a piece, where they are
            known.
        """


def pack(codes: Int8Array) -> Codes | None:
    """Return codes ready to be multiplied; None where neither kernel nor NumKong is there."""
    if library() is not None:
        return KernelCodes(codes)
    return PackedCodes(codes) if find_spec("numkong") is not None else None


class PackedCodes:
    """Codes in the order in which NumKong multiplies them: a private copy.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_columns), dtype int8
    """

    dtype = np.dtype(np.int8)
    most = MOST_CODE

    def __init__(self, codes: Int8Array) -> None:
        import numkong

        self._multiply = numkong.dots_packed
        self._wrap = numkong.from_dlpack
        n_samples, n_columns = codes.shape
        self._width = _quick_width(n_columns)
        self.piece_rows = min(_PIECE_ROWS, -(-n_samples // _ROWS_STEP) * _ROWS_STEP)
        self._pieces = []
        for start in range(0, n_samples, self.piece_rows):
            block = codes[start : start + self.piece_rows]
            padded = np.zeros((self.piece_rows, self._width), np.int8)
            padded[: len(block), :n_columns] = block
            self._pieces.append(numkong.dots_pack(padded))

    def multiply(self, integers: Int8Array, first: int, out: Int32Array) -> None:
        """Write the products with some queries into `out`; see `Codes`."""
        if integers.shape[1] < self._width:
            padded = np.zeros((len(integers), self._width), np.int8)
            padded[:, : integers.shape[1]] = integers
            integers = padded
        tasks = iter(list(zip(self._pieces[first // self.piece_rows :], out, strict=False)))

        def work() -> None:
            for piece, part in tasks:
                self._multiply(integers, piece, out=self._wrap(part))

        together(work, len(out) * min(len(integers), _WORTH_A_THREAD) // _WORTH_A_THREAD)


def _quick_width(n_columns: int) -> int:
    """Return the next width that NumKong multiplies fast: an odd multiple of 16 bytes."""
    steps = -(-n_columns // _BYTES_STEP)
    return (steps + (steps % 2 == 0)) * _BYTES_STEP
