"""Queries as integers, and what their products with a corpus's codes mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.accelerator import Codes, Int32Array
from kneighbors.search.codes import ROUNDING, CodeBounds
from kneighbors.search.kernel import maxima_of
from kneighbors.search.metrics import Float64Array
from kneighbors.search.rounding import Float32Array

#: Bounds of the integers that floors are compared with; excluded rows lie below.
_EXCLUDED, _LOWEST, _HIGHEST = -(2**31), -(2**31) + 1, 2**31 - 1
#: Products that are looked at together, 32 MiB: the more, the better is the first floor.
_BLOCK_ELEMENTS = 1 << 23


class CodedQueries:
    """A sieve of integer products.

    Parameters
    ----------
    bounds : CodeBounds
    packed : Codes
    prepared : ndarray of shape (n_queries, n_features), dtype float64
        Queries, as the metric's exact distances want them.

    Attributes
    ----------
    integers : ndarray of shape (n_queries, n_columns), dtype int8 or int16
        ``constant + unit * (integers @ codes)`` bounds a row's score.
    is_unbounded : ndarray of shape (n_queries,), dtype bool
        Queries too extreme to be bounded; their integers are zero.
    """

    dtype = np.dtype(np.int32)
    excluded: float = _EXCLUDED
    spread: float | None = None
    #: All threads work on one block.
    has_lanes = False
    #: It is in the codes.
    margin = 0.0

    def __init__(self, bounds: CodeBounds, packed: Codes, prepared: Float64Array) -> None:
        self.frame = bounds.frame
        self.placed = self.frame.place_queries(prepared)
        self._packed = packed
        self._n_samples = len(bounds.codes)
        step = bounds.scale.step
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = self._numbers(bounds)
            real = numbers * step
            unit = np.abs(real).max(axis=1) * ((1 + ROUNDING) / packed.most)
            unit = np.maximum(unit, 2.0**-900)
            real /= unit[:, np.newaxis]
            integers = np.rint(real)
            real -= integers
            # Each column's own rounding is far below `ROUNDING` of the largest; together they
            # grow with the root.
            errors = np.sqrt(np.einsum("ij,ij->i", real, real)) * (1 + ROUNDING)
            errors += ROUNDING * packed.most * real.shape[1] ** 0.5
            integers[:, -1] = np.ceil(errors * step[-1])
            shares = numbers * bounds.scale.middle
            self._constant = shares.sum(axis=1)
            self._rounding = np.abs(shares, out=shares).sum(axis=1) * ROUNDING
            # A number that is not finite makes its sum so.
            finite = np.isfinite(integers.sum(axis=1) + self._rounding)
        self.is_unbounded = ~finite | (integers[:, -1] > packed.most)
        if self.is_unbounded.any():
            integers[self.is_unbounded] = 0
        self.integers: NDArray[Any] = integers.astype(packed.dtype)
        self._unit = unit

    def _numbers(self, bounds: CodeBounds) -> Float64Array:
        """Return what the numbers that codes stand for are multiplied with."""
        placed, frame, m = self.placed, bounds.frame, bounds.head_size
        own = placed.lengths * (1 + frame.slack)
        numbers = np.zeros((len(own), len(bounds.scale.step)))
        if bounds.rotation is None:
            numbers[:, :m] = placed.q
        else:
            rotated = bounds.rotation.queries(placed)
            numbers[:, :m] = rotated.coordinates[:, :m]
            numbers[:, m] = rotated.tails(m) * (1 + frame.slack) + frame.slack * own
        numbers[:, m + 1] = own
        if frame.has_offsets:
            numbers[:, m + 2 : -1] = (1 / placed.divisor)[:, np.newaxis]
        return numbers

    def blocks(self) -> list[tuple[int, int]]:
        """Return the bounds of the blocks of rows that are looked at together."""
        rows = self._packed.piece_rows
        step = rows * max(1, _BLOCK_ELEMENTS // (rows * len(self.integers)))
        starts = range(0, self._n_samples, step)
        return [(start, min(start + step, self._n_samples)) for start in starts]

    def shape(self, first: int, last: int) -> tuple[int, int, int]:
        """Return the shape of the bounds of one block."""
        rows = self._packed.piece_rows
        return -(-(last - first) // rows), len(self.integers), rows

    def fill(self, first: int, last: int, out: Int32Array) -> Int32Array | None:
        """Write the products with the rows of one block into `out`; return maxima, if known."""
        maxima = self._packed.multiply(self.integers, first, out)
        rows = out.shape[2]
        end = last - first - (len(out) - 1) * rows
        if end < rows:
            out[-1, :, end:] = _EXCLUDED
            if maxima is not None:
                maxima[-1:] = maxima_of(out[-1:])
        return maxima

    def thresholds(self, floors: Float32Array) -> Int32Array:
        """Return the least products of rows whose bounds reach the floors."""
        wide = floors.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            least = wide - self._constant - self._rounding - np.abs(wide) * ROUNDING
            least = np.floor(least / self._unit)
        least[self.is_unbounded] = _LOWEST
        # The lesser of a number that is none and any other is none: it comes out as the lowest.
        least = np.fmax(np.minimum(least, _HIGHEST), _LOWEST)
        return np.asarray(least, np.int32)
