"""Corpora that graphs are tried on: clustered, of few directions, as embeddings are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.graph import GraphIndex
from kneighbors.search.graph_building import build_graph
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

Array = NDArray[Any]

N_SAMPLES = 2000


def embeddings(n: int = N_SAMPLES, d: int = 24, seed: int = 0, dtype: Any = np.float32) -> Array:
    """Return rows near a plane of eight dimensions, of various lengths."""
    plane = np.random.default_rng(99).standard_normal((8, d))
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, 8)) @ plane + 0.2 * random.standard_normal((n, d))
    return (rows * random.uniform(0.5, 2, (n, 1))).astype(dtype)


def graph(X: Array, metric: str = "cosine", **parameters: Any) -> GraphIndex:
    """Return a small graph over a corpus."""
    parameters = {"M": 8, "ef_construction": 40, "ef_search": 48, **parameters}
    return build_graph(ExactIndex.build(ArrayRows(X), metric), **parameters)
