"""Small corpora and artifacts for tests of the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kneighbors.artifact import save
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

N_SAMPLES = 60
N_FEATURES = 5


def make_corpus(n_samples: int = N_SAMPLES, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors, of which rows 10 and 11 are the same."""
    X = np.random.default_rng(seed).normal(size=(n_samples, N_FEATURES)).astype(np.float32)
    X[11] = X[10]
    return X


def make_catalog(n_samples: int = N_SAMPLES) -> Catalog:
    """Return ids ``w0``, ``w1`` and so on, with attributes of every kind."""
    table = pa.table(
        {
            "price": pa.array([None, *(float(row) for row in range(1, n_samples))]),
            "name": [f"Wine [{row}]" for row in range(n_samples)],
            "terms": [["oak", "plum"]] * n_samples,
        }
    )
    return Catalog(n_samples, [f"w{row}" for row in range(n_samples)], table)


def save_artifact(path: Path, catalog: Catalog | None = None, metric: str = "cosine") -> Path:
    """Save the corpus, by default with `make_catalog`."""
    index = ExactIndex.build(ArrayRows(make_corpus()), metric)
    path.parent.mkdir(parents=True, exist_ok=True)
    source = {"address": "tests", "n_neighbors": 4}
    save(path, index, make_catalog() if catalog is None else catalog, source=source)
    return path
