"""Seeded corpora for the benchmarks, each with its queries.

Queries are half rows and half means of two rows: stored and foreign ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def wines(n: int) -> Array:
    """Return the embeddings of generated wines, of 300 dimensions and a steep spectrum."""
    from kneighbors.datasets import make_wines

    return np.asarray(make_wines(n).X)


def isotropic(n: int) -> Array:
    """Return noise of 300 dimensions, in which no direction is better than another."""
    return np.random.default_rng(1).standard_normal((n, 300)).astype(np.float32)


def flat(n: int) -> Array:
    """Return clusters of 384 dimensions whose ten leading directions hold under 40 %."""
    random = np.random.default_rng(2)
    scales = (1 + np.arange(384)) ** -0.45
    centres = random.standard_normal((n // 40, 384)) * scales
    X = centres[random.integers(len(centres), size=n)]
    X = X + 0.7 * random.standard_normal((n, 384)) * scales
    return np.asarray(X @ np.linalg.qr(random.standard_normal((384, 384)))[0], dtype=np.float32)


CORPORA = {"wines": (wines, 180_000), "isotropic": (isotropic, 100_000), "flat": (flat, 100_000)}


def load(name: str, path: Path | None = None) -> Array:
    """Return a corpus by name, or the .npy file at `path`."""
    if path is not None:
        return np.asarray(np.load(path), dtype=np.float32)
    make, n = CORPORA[name]
    return make(n)


def queries(X: Array, count: int, seed: int = 3) -> Array:
    """Return `count` queries, stored and foreign in turn."""
    random = np.random.default_rng(seed)
    rows = random.integers(len(X), size=(2, count))
    Q = (X[rows[0]] + X[rows[1]]) / 2
    Q[::2] = X[rows[0][::2]]
    return np.asarray(Q)
