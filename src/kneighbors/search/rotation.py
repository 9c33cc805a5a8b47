"""Rows in rotated coordinates, and how far a row is from what a head says of it.

With P the leading columns of the basis, z a placed row, g the computed P'z and h the head that is
stored for it, of whatever precision,

    |z - P h|^2  =  |z|^2 - |g|^2 + |h - g|^2 - 2 h.(P'z - g) + h.(P'P - I)h,

and the last two terms are rounding. So the rest of a row is known from lengths alone, and one
product with the basis serves heads of every size. `docs/explanation/exact-search.md` has the proof.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.frame import Frame
from kneighbors.search.metrics import Float64Array, lengths


class Rotation:
    """An orthonormal basis, most telling direction first.

    Parameters
    ----------
    frame : Frame
        Where rows are placed.
    basis : ndarray of shape (n_features, size), dtype float64
        Nearly orthonormal columns; how nearly is measured.
    """

    def __init__(self, frame: Frame, basis: Float64Array) -> None:
        self.frame = frame
        self.basis = basis
        #: How far the columns are from orthonormal.
        self.skew = skew_of(basis)
        #: The error of computed coordinates, relative to the length of the row.
        self.error = frame.slack * float(np.sqrt(basis.shape[1] + 1))

    def __call__(self, Z: Float64Array) -> Rotated:
        """Return placed rows in rotated coordinates."""
        return Rotated(self, Z, Z @ self.basis)


class Rotated:
    """Some placed rows in rotated coordinates.

    Attributes
    ----------
    coordinates : ndarray of shape (n, size), dtype float64
    lengths : ndarray of shape (n,), dtype float64
        Of the rows.
    reach : ndarray of shape (n,), dtype float64
        Bounds of their lengths before they were centred.
    """

    def __init__(self, rotation: Rotation, Z: Float64Array, coordinates: Float64Array) -> None:
        self.rotation = rotation
        self.coordinates = coordinates
        self.lengths = lengths(Z)
        self.reach = rotation.frame.reach(Z)

    def rests(self, heads: NDArray[Any], off: Float64Array) -> Float64Array:
        """Bound the lengths of what heads leave of the rows.

        Parameters
        ----------
        heads : ndarray of shape (n, m)
            Near the first m coordinates.
        off : ndarray of shape (n,), dtype float64
            Bounds of how near.
        """
        rotation = self.rotation
        own = self.lengths
        g = self.coordinates[:, : heads.shape[1]]
        squares = np.maximum(np.square(own) - np.einsum("ij,ij->i", g, g), 0) + np.square(off)
        relative = 1.02 * (2 * rotation.error + rotation.skew) + 4 * rotation.frame.slack
        squares += relative * np.square(own + off)
        return np.asarray(np.sqrt(squares) * (1 + rotation.frame.slack))


def skew_of(basis: Float64Array) -> float:
    """Return how far the columns of `basis` are from orthonormal."""
    gram = basis.T @ basis
    gram[np.diag_indices_from(gram)] -= 1
    return float(np.linalg.norm(gram)) * 2
