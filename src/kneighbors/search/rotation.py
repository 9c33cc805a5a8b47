"""Rows in rotated coordinates, and how far a row is from what a head says of it.

With P the leading columns of the basis, z a placed row, g the computed P'z and h the head that is
stored for it, of whatever precision,

    |z - P h|^2  =  |z|^2 - |g|^2 + |h - g|^2 - 2 h.(P'z - g) + h.(P'P - I)h,

and the last two terms are rounding. So the rest of a row is known from lengths alone, and one
product with the basis serves heads of every size. `docs/explanation/exact-search.md` has the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.frame import Frame, Placed
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
        #: Itself, or one that begins with these columns; see `share`.
        self.whole = self
        #: The error of computed coordinates, relative to the length of the row.
        self.error = frame.slack * float(np.sqrt(basis.shape[1] + 1))

    @cached_property
    def skew(self) -> float:
        """How far the columns are from orthonormal."""
        return skew_of(self.basis)

    @cached_property
    def relative(self) -> float:
        """What the square of a rest may be off by, relative to that of the row or query."""
        return 1.02 * (2 * self.error + self.skew) + 4 * self.frame.slack

    def __call__(self, Z: Float64Array) -> Rotated:
        """Return placed rows in rotated coordinates."""
        return Rotated(self, Z, Z @ self.basis)

    def queries(self, placed: Placed) -> RotatedQueries:
        """Return queries in rotated coordinates, these and maybe more, computed once for all."""
        if placed.rotated is None or placed.rotated.rotation is not self.whole:
            placed.rotated = RotatedQueries(self.whole, placed)
        return placed.rotated


class RotatedQueries:
    """Queries in rotated coordinates.

    Attributes
    ----------
    coordinates : ndarray of shape (n_queries, size), dtype float64
    """

    def __init__(self, rotation: Rotation, placed: Placed) -> None:
        self.rotation = rotation
        self.coordinates = placed.q @ rotation.basis
        self._lengths = placed.lengths

    def tails(self, size: int) -> Float64Array:
        """Bound the lengths of what the first coordinates leave of the queries."""
        rotation, own = self.rotation, self._lengths
        g = self.coordinates[:, :size]
        squares = own * own
        rests = np.maximum(squares - np.einsum("ij,ij->i", g, g), 0)
        rests += rotation.relative * squares
        return np.asarray(np.sqrt(rests) * (1 + rotation.frame.slack))


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
        squares += rotation.relative * np.square(own + off)
        return np.asarray(np.sqrt(squares) * (1 + rotation.frame.slack))


def skew_of(basis: Float64Array) -> float:
    """Return how far the columns of `basis` are from orthonormal."""
    gram = basis.T @ basis
    gram[np.diag_indices_from(gram)] -= 1
    return float(np.linalg.norm(gram)) * 2


def share(rotations: Sequence[Rotation]) -> None:
    """Let rotations with the first columns of another one place queries together with it."""
    if not rotations:
        return
    largest = max(rotations, key=lambda rotation: rotation.basis.shape[1])
    for rotation in rotations:
        if np.array_equal(rotation.basis, largest.basis[:, : rotation.basis.shape[1]]):
            rotation.whole = largest
