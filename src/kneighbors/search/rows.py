"""Read access to the original vectors, wherever they lie."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
RowArray = NDArray[np.int64]


class Rows(Protocol):
    """The original vectors of a corpus, read a few rows at a time.

    The search touches them only at candidate rows, so an implementation may keep them on disk and
    check what it reads (see `kneighbors.artifact`).
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """``float32`` or ``float64``, in native byte order."""

    def take(self, rows: RowArray) -> FloatArray:
        """Return copies of the given rows, of shape (len(rows), n_features), in the given order."""

    def slice(self, start: int, stop: int) -> FloatArray:
        """Return rows ``start`` to ``stop``; the result must not be written to."""


class ArrayRows:
    """Rows of an array in memory or memory-mapped, trusted as it is.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32 or float64
        C-contiguous; kept by reference.
    """

    def __init__(self, X: FloatArray) -> None:
        self.X = X

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return self.X.shape[0], self.X.shape[1]

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """Type of the elements."""
        return self.X.dtype

    def take(self, rows: RowArray) -> FloatArray:
        """Return copies of the given rows."""
        return np.asarray(self.X[rows])

    def slice(self, start: int, stop: int) -> FloatArray:
        """Return a view of rows ``start`` to ``stop``."""
        return np.asarray(self.X[start:stop])
