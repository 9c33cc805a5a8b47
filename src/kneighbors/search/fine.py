"""A finer head of each row, read only for the rows that a coarser bound leaves.

The bound is that of `kneighbors.search.head` with more coordinates. Its columns are stored row by
row, so that bounding a few rows touches a few places of memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.frame import Frame, Placed
from kneighbors.search.head import coefficients_of, columns_for
from kneighbors.search.metrics import Float64Array
from kneighbors.search.parts import part_of
from kneighbors.search.rotation import Rotation
from kneighbors.search.rounding import Float32Array
from kneighbors.search.rows import RowArray
from kneighbors.search.topk import IntArray


class FineBounds:
    """Upper bounds of the scores of single rows.

    Parameters
    ----------
    frame : Frame
        Where the rows are placed.
    basis : ndarray of shape (n_features, m), dtype float64
        Orthonormal columns; heads are the coordinates in them.
    columns : ndarray of shape (n_samples, m + 1 or m + 2), dtype float32
        Heads, offsets unless the metric is inner product, and tails.
    """

    def __init__(self, frame: Frame, basis: Float64Array, columns: Float32Array) -> None:
        self.frame = frame
        self.basis = basis
        self.columns = columns
        self.rotation = Rotation(frame, basis)

    @classmethod
    def from_parts(
        cls, frame: Frame, shape: tuple[int, int], size: int, parts: Mapping[str, NDArray[Any]]
    ) -> FineBounds:
        """Take the parts of a saved index."""
        n_samples, n_features = shape
        basis = part_of(parts, "fine_basis", np.float64, (n_features, size))
        width = columns_for(frame, basis.shape[1])
        return cls(frame, basis, part_of(parts, "fine", np.float32, (n_samples, width)))

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to save."""
        return {"fine": self.columns, "fine_basis": self.basis}

    def coefficients(self, placed: Placed) -> Float32Array:
        """Return what the columns are multiplied with, of shape (n_queries, n_columns)."""
        return coefficients_of(self.rotation, self.basis.shape[1], placed)

    def upper(self, coefficients: Float32Array, queries: IntArray, rows: RowArray) -> Float32Array:
        """Return upper bounds of the scores of pairs of a query and a row."""
        columns = self.columns.take(rows, axis=0)
        if len(coefficients) == 1:
            return np.asarray(columns @ coefficients[0])
        return np.asarray(np.einsum("ij,ij->i", columns, coefficients.take(queries, axis=0)))
