"""Queries as integers, and what their products with a corpus's codes mean."""

from __future__ import annotations

import numpy as np

from kneighbors.search.accelerator import Int32Array, PackedCodes
from kneighbors.search.codes import MOST_CODE, ROUNDING, CodeBounds, Int8Array
from kneighbors.search.metrics import Float64Array, lengths
from kneighbors.search.rounding import Float32Array

#: Bounds of the integers that floors are compared with; excluded rows lie below.
_EXCLUDED, _LOWEST, _HIGHEST = -(2**31), -(2**31) + 1, 2**31 - 1
#: Pieces of rows whose products are looked at together: two for each of two threads.
_PIECES_OF_BLOCK = 4


class CodedQueries:
    """A sieve of integer products.

    Parameters
    ----------
    bounds : CodeBounds
    packed : PackedCodes
    prepared : ndarray of shape (n_queries, n_features), dtype float64
        Queries, as the metric's exact distances want them.

    Attributes
    ----------
    integers : ndarray of shape (n_queries, n_columns), dtype int8
        ``constant + unit * (integers @ codes)`` bounds a row's score.
    is_unbounded : ndarray of shape (n_queries,), dtype bool
        Queries too extreme to be bounded; their integers are zero.
    """

    dtype = np.dtype(np.int32)
    excluded: float = _EXCLUDED
    spread: float | None = None
    #: It is in the codes.
    margin = 0.0

    def __init__(self, bounds: CodeBounds, packed: PackedCodes, prepared: Float64Array) -> None:
        self.frame = bounds.frame
        self.placed = placed = self.frame.place_queries(prepared)
        self._packed = packed
        self._n_samples = len(bounds.codes)
        frame, basis, scale = bounds.frame, bounds.basis, bounds.scale
        n_queries = len(placed.q)
        m = bounds.head_size
        with np.errstate(over="ignore", invalid="ignore"):
            own = placed.lengths * (1 + frame.slack)
            if basis is None:
                g, tails = placed.q, np.zeros(n_queries)
            else:
                g = placed.q @ basis
                tails = lengths(placed.q - g @ basis.T) * (1 + frame.slack) + frame.slack * own
            numbers = np.zeros((n_queries, len(scale.step)))
            numbers[:, :m] = g
            numbers[:, m] = tails
            numbers[:, m + 1] = own
            if frame.has_offsets:
                numbers[:, m + 2 : -1] = (1 / placed.divisor)[:, np.newaxis]
            real = numbers * scale.step
            unit = np.maximum(np.abs(real).max(axis=1) / MOST_CODE * (1 + ROUNDING), 2.0**-900)
            real /= unit[:, np.newaxis]
            integers = np.rint(real)
            # Each column's own rounding is far below `ROUNDING`; together they grow with the root.
            errors = lengths(real - integers) * (1 + ROUNDING) + ROUNDING * np.sqrt(real.shape[1])
            integers[:, -1] = np.ceil(errors * scale.step[-1])
            shares = numbers * scale.middle
        self.is_unbounded = ~(np.isfinite(integers).all(axis=1) & np.isfinite(shares).all(axis=1))
        self.is_unbounded |= integers[:, -1] > MOST_CODE
        integers[self.is_unbounded] = 0
        self.integers: Int8Array = integers.astype(np.int8)
        self._unit = unit
        self._constant = shares.sum(axis=1)
        self._rounding = np.abs(shares).sum(axis=1) * ROUNDING

    def blocks(self) -> list[tuple[int, int]]:
        """Return the bounds of the blocks of rows that are looked at together."""
        step = self._packed.piece_rows * _PIECES_OF_BLOCK
        starts = range(0, self._n_samples, step)
        return [(start, min(start + step, self._n_samples)) for start in starts]

    def fill(self, first: int, last: int, out: Int32Array) -> None:
        """Write the products with the rows of one block into `out`."""
        for query, row in enumerate(out):
            # Each row of `out` is contiguous, all together need not be.
            self._packed.multiply(self.integers[query : query + 1], first, row)

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
