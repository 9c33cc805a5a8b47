"""Random corpora and queries of every kind that has ever fooled a neighbour search."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KINDS = (
    "isotropic",
    "clustered",
    "steep",
    "grid",
    "duplicates",
    "near_duplicates",
    "far_from_origin",
    "mixed_lengths",
    "huge",
    "tiny",
    "one_hot",
    "one_outlier",
    "constant_columns",
)


def corpus(kind: str, n: int, d: int, dtype: Any, random: np.random.Generator) -> Array:
    """Return a corpus of shape (n, d) without zero rows."""
    X = random.standard_normal((n, d))
    if kind == "clustered":
        centres = random.standard_normal((max(1, n // 50), d)) * 3
        X = centres[random.integers(len(centres), size=n)] + 0.1 * X
    elif kind == "steep":
        X = (X * 0.8 ** np.arange(d)) @ np.linalg.qr(random.standard_normal((d, d)))[0]
    elif kind == "grid":
        X = random.integers(-1, 2, size=(n, d)).astype(float)
    elif kind == "duplicates":
        X = X[random.integers(max(1, n // 5), size=n)]
    elif kind == "near_duplicates":
        X = X[random.integers(max(1, n // 5), size=n)] * (1 + 1e-7 * X)
    elif kind == "far_from_origin":
        X = X + 10.0 ** random.integers(1, 7)
    elif kind == "mixed_lengths":
        X = X * 10.0 ** random.uniform(-8, 8, size=(n, 1))
    elif kind == "huge":
        X = X * (1e30 if dtype == np.float32 else 1e140)
    elif kind == "tiny":
        X = X * (1e-41 if dtype == np.float32 else 1e-280)
    elif kind == "one_hot":
        X = np.eye(d)[random.integers(d, size=n)]
    elif kind == "one_outlier":
        X[random.integers(n)] *= 1e12
    elif kind == "constant_columns":
        X[:, random.random(d) < 0.5] = 2.0
    X = X.astype(dtype)
    X[~X.any(axis=1), 0] = 1
    return np.ascontiguousarray(X)


def queries(X: Array, count: int, metric: str, random: np.random.Generator) -> Array:
    """Return queries of every kind: rows, between rows, foreign, far away."""
    n, d = X.shape
    rows = random.integers(n, size=(2, count))
    Q = X[rows[0]].astype(np.float64)
    for i in range(count):
        kind = random.integers(5)
        scale = float(np.abs(X).max())
        if kind == 1:
            Q[i] = (Q[i] + X[rows[1, i]].astype(np.float64)) / 2
        elif kind == 2:
            Q[i] = random.standard_normal(d) * scale
        elif kind == 3:
            Q[i] = random.standard_normal(d) * min(scale * 1e6, 1e140)
        elif kind == 4 and metric != "cosine":
            Q[i] = 0
    if metric == "cosine":
        Q[~Q.any(axis=1), 0] = 1
    narrow = random.random() < 0.5 and float(np.abs(Q).max()) < 1e38
    return np.asarray(Q, dtype=X.dtype if narrow else np.float64)
