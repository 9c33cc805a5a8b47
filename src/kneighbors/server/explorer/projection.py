"""A corpus on a plane: its two principal axes, spread so that no region is crowded.

The two leading axes of a sample's variance (Pearson, 'On lines and planes of closest fit to systems
of points in space', Philosophical Magazine 2, 1901) keep what is far apart far apart. Embeddings
crowd around their mean, so each axis is stretched by the sample's own quantiles, half way to where
all would be spread evenly: order along an axis is kept, density is evened out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.rows import FloatArray, RowArray

if TYPE_CHECKING:
    from kneighbors.search.rows import Rows

Float32Array = NDArray[np.float32]

#: Rows whose variance decides the axes; their error is below a pixel.
_SAMPLE = 10_000
#: Wider vectors are reduced by the sample's own axes alone; more rows than this do not help.
_BLOCK = 8_192
_KNOTS = 257
_EVENNESS = 0.5


class Projection:
    """Two axes, fitted to a sample of a corpus.

    Parameters
    ----------
    rows : Rows
        The original vectors.
    is_angular : bool
        Whether only directions matter, as to the cosine; then vectors are normalised first.

    Notes
    -----
    The same corpus gives the same plane. O(sample * n_features * min(sample, n_features)).
    """

    def __init__(self, rows: Rows, *, is_angular: bool) -> None:
        self._rows = rows
        self._is_angular = is_angular
        chosen = sampled(rows.shape[0], _SAMPLE)
        X = self._directed(rows.take(chosen))
        self._mean = X.mean(axis=0)
        self._axes = _principal_axes(X - self._mean)
        self._knots = [_Stretch(axis) for axis in self._flat(X).T]

    def points(self, rows: RowArray) -> Float32Array:
        """Return where rows lie, each coordinate between 0 and 1.

        Parameters
        ----------
        rows : ndarray of shape (n,), dtype int64
            Ascending, for speed alone.

        Returns
        -------
        ndarray of shape (n, 2), dtype float32
        """
        placed = np.empty((len(rows), 2), np.float32)
        for start in range(0, len(rows), _BLOCK):
            stop = start + _BLOCK
            flat = self._flat(self._directed(self._read(rows[start:stop])))
            for axis, stretch in enumerate(self._knots):
                placed[start:stop, axis] = stretch(flat[:, axis])
        return placed

    def _read(self, rows: RowArray) -> FloatArray:
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            return self._rows.slice(int(rows[0]), int(rows[-1]) + 1)
        return self._rows.take(rows)

    def _directed(self, X: FloatArray) -> FloatArray:
        if not self._is_angular:
            return X
        norms = np.linalg.norm(X, axis=1, keepdims=True)
        directed: FloatArray = X / np.where(norms > 0, norms, 1)
        return directed

    def _flat(self, X: FloatArray) -> FloatArray:
        flat: FloatArray = (X - self._mean) @ self._axes
        return flat


class _Stretch:
    """One axis, half by value and half by rank, onto 0 to 1."""

    def __init__(self, values: FloatArray) -> None:
        shares = np.linspace(0, 1, _KNOTS)
        knots = np.quantile(values.astype(np.float64), shares)
        span = knots[-1] - knots[0]
        linear = (knots - knots[0]) / span if span > 0 else np.full(_KNOTS, 0.5)
        # Of equal knots, such as those of an axis with few values, one is enough.
        self._knots, first = np.unique(knots, return_index=True)
        self._places = ((1 - _EVENNESS) * linear + _EVENNESS * shares)[first]

    def __call__(self, values: FloatArray) -> NDArray[np.float64]:
        return np.interp(values, self._knots, self._places)


def sampled(n_samples: int, most: int) -> RowArray:
    """Return rows drawn at random, always the same, or all where there are no more; ascending."""
    if n_samples <= most:
        return np.arange(n_samples)
    drawn = np.random.Generator(np.random.PCG64(0)).choice(n_samples, most, replace=False)
    drawn.sort()
    return drawn


def _principal_axes(centred: FloatArray) -> FloatArray:
    """Return the two directions of most variance as columns, each with its sign decided."""
    n_features = centred.shape[1]
    if n_features == 1:
        return np.array([[1.0, 0.0]], centred.dtype)
    _, axes = np.linalg.eigh(centred.T @ centred)
    leading = axes[:, [-1, -2]]
    largest = np.abs(leading).argmax(axis=0)
    axes = leading * np.sign(leading[largest, [0, 1]])
    return np.asarray(axes)
