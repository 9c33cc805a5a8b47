"""What rules rows out for one batch of queries: comparable numbers for all rows, and floors."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.frame import Frame, Placed
from kneighbors.search.head import HeadBounds
from kneighbors.search.metrics import Float64Array
from kneighbors.search.product import ProductBounds
from kneighbors.search.rounding import LOWEST, Float32Array

#: Bounds held at a time: 2 MiB of float32, which never leave the cache.
_BOUND_ELEMENTS = 1 << 19
#: Rows of a block are a multiple of this.
_STEP = 64


class Sieve(Protocol):
    """Upper bounds of the scores of all rows, in a unit of the sieve's own.

    Attributes
    ----------
    frame : Frame
    placed : Placed
        The queries, in that frame.
    margin : float
        What bounds may be short of, absolutely.
    dtype : dtype
        float32 or int32.
    excluded : float or int
        Below every bound and every threshold.
    spread : float or None
        By how much, at most, two rows may be ordered wrongly by their bounds; None if unknown.
    has_lanes : bool
        Whether several threads may fill blocks at the same time.
    """

    frame: Frame
    placed: Placed
    margin: float

    dtype: np.dtype[Any]
    excluded: float
    spread: float | None
    has_lanes: bool

    def blocks(self) -> list[tuple[int, int]]:
        """Return the bounds of the blocks of rows that are looked at together."""

    def shape(self, first: int, last: int) -> tuple[int, int, int]:
        """Return the shape of the bounds of one block: (n_pieces, n_queries, rows of a piece)."""

    def fill(self, first: int, last: int, out: NDArray[Any]) -> NDArray[np.int32] | None:
        """Write the bounds of rows `first` to `last` into `out`; return maxima, where known.

        Parameters
        ----------
        first, last : int
            Rows of the corpus.
        out : ndarray of shape ``shape(first, last)``, of the sieve's dtype
            C-contiguous. What is beyond the last row gets `excluded`.

        Returns
        -------
        ndarray of shape (n_pieces, n_queries, n_groups), dtype int32, or None
            The largest of the bounds of a piece that are ``n_groups`` apart.
        """

    def thresholds(self, floors: Float32Array) -> NDArray[Any]:
        """Return what the bounds of rows whose scores reach the floors are not below."""


class FloatSieve:
    """The bounds of a head or of a plain product.

    Parameters
    ----------
    bounds : HeadBounds or ProductBounds
    prepared : ndarray of shape (n_queries, n_features), dtype float64
        Queries, as the metric's exact distances want them.
    """

    dtype = np.dtype(np.float32)
    excluded: float = -np.inf

    def __init__(self, bounds: HeadBounds | ProductBounds, prepared: Float64Array) -> None:
        self.frame = bounds.frame
        self.placed = placed = self.frame.place_queries(prepared)
        self.margin = bounds.margin
        self._bounds = bounds
        self._n_samples = bounds.n_samples
        self.spread = bounds.spread
        self._coefficients = bounds.coefficients(placed)
        # Where a BLAS divides a product among threads, they are busy already.
        self.has_lanes = isinstance(bounds, HeadBounds) and bounds.is_small(len(prepared))
        self._is_unbounded = ~np.isfinite(self._coefficients).all(axis=1)
        self._has_unbounded = bool(self._is_unbounded.any())
        if self._has_unbounded:
            self._coefficients[self._is_unbounded] = 0

    def blocks(self) -> list[tuple[int, int]]:
        """Return the bounds of the blocks of rows that are looked at together."""
        step = max(_STEP, _BOUND_ELEMENTS // len(self._coefficients) // _STEP * _STEP)
        starts = range(0, self._n_samples, step)
        return [(start, min(start + step, self._n_samples)) for start in starts]

    def shape(self, first: int, last: int) -> tuple[int, int, int]:
        """Return the shape of the bounds of one block."""
        return 1, len(self._coefficients), -(-(last - first) // _STEP) * _STEP

    def fill(self, first: int, last: int, out: Float32Array) -> None:
        """Write the bounds of rows `first` to `last` into `out`; no maxima are known."""
        self._bounds.upper(self._coefficients, first, last, out[0, :, : last - first])
        out[0, :, last - first :] = -np.inf

    def thresholds(self, floors: Float32Array) -> Float32Array:
        """Return the floors, none of which holds for a query too extreme to be bounded."""
        if not self._has_unbounded:
            return floors
        return np.where(self._is_unbounded, LOWEST, floors)
