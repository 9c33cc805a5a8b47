"""A matrix that grows while nobody knows how long it will be, without ever being there twice."""

from __future__ import annotations

import os
import tempfile
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArrayRefused, CorpusRefused
from kneighbors.search.rows import FloatArray
from kneighbors.storage import translated

_BLOCK_BYTES = 8 << 20


def float_type(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return the type that holds numbers of `dtype`, or None where they are none.

    float16, float32 and integers of up to 16 bits become float32; float64 and larger integers
    become float64, as they do at the gate of the search.

    Examples
    --------
    >>> [str(float_type(np.dtype(name))) for name in ("f2", "i2", "i4", "f8", "?", "c8")]
    ['float32', 'float32', 'float64', 'float64', 'None', 'None']
    """
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)
    if dtype.kind in "iu":
        return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)
    return None


class Matrix:
    """Rows, added in batches.

    Parameters
    ----------
    dtype : dtype, optional
        What all rows become; the widest that was added if not given.

    Notes
    -----
    Batches are written into blocks of 8 MiB or more, taken from the system and given back to it
    one by one while `finish` moves them into one array, so that the peak is the array and one
    block. Where the number of rows is known beforehand (`expect`), they are written into the
    array itself.
    """

    def __init__(self, dtype: np.dtype[Any] | None = None) -> None:
        self.dtype = dtype
        self.n_features: int | None = None
        self.n_rows = 0
        self._expected = 0
        self._blocks: list[FloatArray] = []
        self._used: list[int] = []

    def expect(self, rows: int) -> None:
        """Say how many rows the next batches have at least, all together."""
        self._expected = rows

    def room(self, rows: int, dtype: np.dtype[Any]) -> FloatArray:
        """Return a view of shape (rows, n_features) to be written to; `n_features` is set."""
        if self.n_features is None:
            raise AssertionError("the width comes first")
        wanted = dtype if self.dtype is None else self.dtype
        if (
            not self._blocks
            or self._blocks[-1].dtype != wanted
            or len(self._blocks[-1]) - self._used[-1] < rows
        ):
            self._blocks.append(self._block(rows, wanted))
            self._used.append(0)
        start = self._used[-1]
        self._used[-1] += rows
        self.n_rows += rows
        return self._blocks[-1][start : start + rows]

    def add(self, batch: NDArray[Any], where: str) -> None:
        """Add the rows of `batch`, which has numbers of any type.

        Raises
        ------
        ArrayRefused
            With code ``array-overflow`` if a number is too large for the type that was asked for.
        """
        dtype = float_type(batch.dtype)
        if dtype is None:
            raise AssertionError("readers refuse what are no numbers")
        first = self.n_rows
        write(self.room(len(batch), dtype), batch, where, first)

    def finish(self) -> FloatArray:
        """Return the matrix, of shape (n_rows, n_features); nothing can be added any more."""
        blocks, used = self._blocks, self._used
        self._blocks, self._used = [], []
        if len(blocks) == 1 and used[0] == len(blocks[0]):
            return np.require(blocks[0], requirements="O")
        dtype = np.result_type(*blocks) if blocks else np.dtype(np.float32)
        result = self._new(self.n_rows, dtype)
        start = 0
        blocks.reverse()
        for count in used:
            result[start : start + count] = blocks.pop()[:count]
            start += count
        return result

    def _block(self, rows: int, dtype: np.dtype[Any]) -> FloatArray:
        """Return room for `rows` rows or more."""
        expected, self._expected = self._expected, 0
        if expected >= rows and not self._blocks:
            return self._new(expected, dtype)
        row_bytes = max(1, self.n_features or 0) * dtype.itemsize
        capacity = max(rows, expected, _BLOCK_BYTES // row_bytes)
        # Memory from malloc might stay with the process when the block is gone; a map does not.
        try:
            mapped = mmap(-1, capacity * row_bytes)
        except (OSError, OverflowError, MemoryError, ValueError) as error:
            raise self._no_room(capacity, dtype) from error
        return np.frombuffer(mapped, dtype).reshape(capacity, self.n_features or 0)

    def _new(self, rows: int, dtype: np.dtype[Any]) -> FloatArray:
        try:
            return np.empty((rows, self.n_features or 0), dtype)
        except (MemoryError, ValueError) as error:
            raise self._no_room(rows, dtype) from error

    def _no_room(self, rows: int, dtype: np.dtype[Any]) -> CorpusRefused:
        n_bytes = rows * (self.n_features or 0) * dtype.itemsize
        return CorpusRefused(
            "corpus-memory",
            f"Expected room for {rows:,} x {self.n_features:,} numbers of type {dtype} "
            f"({n_bytes:,} bytes); this machine has less.",
            hint="Save the corpus as one .npy file, which is read where it lies.",
        )


class SpooledMatrix(Matrix):
    """Rows in files without names, so that there may be more of them than memory.

    Parameters
    ----------
    dtype : dtype, optional
        As of `Matrix`.
    """

    def _block(self, rows: int, dtype: np.dtype[Any]) -> FloatArray:
        expected, self._expected = self._expected, 0
        row_bytes = max(1, self.n_features or 0) * dtype.itemsize
        return self._new(max(rows, expected, _BLOCK_BYTES // row_bytes), dtype)

    def _new(self, rows: int, dtype: np.dtype[Any]) -> FloatArray:
        shape = (rows, self.n_features or 0)
        size = rows * shape[1] * dtype.itemsize
        if not size:
            return np.empty(shape, dtype)
        folder = tempfile.gettempdir()
        with translated(folder), tempfile.TemporaryFile(prefix="kneighbors-") as file:
            # Room on the disk now: a map that finds none later ends the process.
            os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "r+", 0, shape)


def write(view: FloatArray, batch: NDArray[Any], where: str, first_row: int = 0) -> None:
    """Copy numbers into a view, converting them; `first_row` is what the corpus calls the first.

    Raises
    ------
    ArrayRefused
        With code ``array-overflow`` if a finite number would become infinite.
    """
    try:
        with np.errstate(over="raise"):
            view[...] = batch
    except FloatingPointError:
        with np.errstate(over="ignore"):
            bad = np.argwhere(np.isfinite(batch) & ~np.isfinite(batch.astype(view.dtype)))[0]
        value = batch[tuple(bad)]
        raise ArrayRefused(
            "array-overflow",
            f"Expected numbers that {view.dtype} can hold, got {value:.3g}.",
            where=f"{where}, row {first_row + bad[0]}",
            hint="Leave dtype unset, or scale the data down.",
        ) from None
