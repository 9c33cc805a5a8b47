"""Recall by distance: the share of answers that are no farther than the true k-th neighbour."""

from __future__ import annotations

import numpy as np
from engine import Array

#: Rows that float32 cannot tell apart are equally good.
TOLERANCE = 1e-6
_BLOCK = 8_192


class Truth:
    """The cosine distances of a float64 scan.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        The corpus.
    Q : ndarray of shape (n_queries, d)
    k : int
    """

    def __init__(self, X: Array, Q: Array, k: int) -> None:
        self.X, self.k = X, k
        self.unit = _unit(Q)
        best = np.full((len(Q), k), np.inf)
        for start in range(0, len(X), _BLOCK):
            gaps = 1 - self.unit @ _unit(X[start : start + _BLOCK]).T
            best = np.partition(np.hstack([best, gaps]), k - 1, axis=1)[:, :k]
        self.farthest = best.max(axis=1)

    def recalls(self, rows: Array) -> Array:
        """Return each query's recall; a row that is named twice counts once, and -1 is none."""
        out = np.zeros(len(rows))
        for query, found in enumerate(rows):
            different = np.unique(found[found >= 0])
            gaps = 1 - _unit(self.X[different]) @ self.unit[query]
            out[query] = (gaps <= self.farthest[query] + TOLERANCE).sum() / self.k
        return out


def _unit(X: Array) -> Array:
    X = X.astype(np.float64)
    return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True))
