"""Brute force in float64, sharing no code with the package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def distances(metric: str, X: Array, q: Array) -> Array:
    """Return the distance of every row of X to q, in extended precision, as float64."""
    X, q = X.astype(np.longdouble), q.astype(np.longdouble)
    if metric == "inner_product":
        found = -(X * q).sum(axis=1)
    elif metric == "cosine":
        X = X / np.abs(X).max(axis=1, keepdims=True)
        q = q / np.abs(q).max()
        lengths = np.sqrt((X * X).sum(axis=1)) * np.sqrt((q * q).sum())
        found = 1 - (X * q).sum(axis=1) / lengths
    else:
        squared = ((X - q) ** 2).sum(axis=1)
        found = squared if metric == "sqeuclidean" else np.sqrt(squared)
    return np.asarray(found, dtype=np.float64)


def tolerance(metric: str, X: Array, q: Array) -> Array:
    """Return how far off each of these distances float64 arithmetic may be."""
    unit = 4 * (X.shape[1] + 8) * 2.0**-53
    if metric == "cosine":
        return np.full(len(X), unit)
    if metric == "inner_product":
        return np.asarray(unit * np.abs(X.astype(np.longdouble) * q).sum(axis=1), dtype=np.float64)
    return np.asarray(unit * distances(metric, X, q))


def check_answer(metric: str, X: Array, q: Array, found: Array, rows: Array, k: int) -> None:
    """Assert that (found, rows) are the k nearest rows of X to q, up to float64 rounding."""
    exact = distances(metric, X, q)
    slack = tolerance(metric, X, q)
    assert len(rows) == len(set(rows.tolist())) == min(k, len(X))
    np.testing.assert_array_less(np.abs(found - exact[rows]), slack[rows] + 1e-300)
    # Smaller distance first, then smaller row, by the distances as returned.
    assert np.lexsort((rows, found)).tolist() == list(range(len(rows)))
    left = np.setdiff1d(np.arange(len(X)), rows)
    assert (exact[left] + slack[left] >= exact[rows].max() - slack[rows].max()).all()
