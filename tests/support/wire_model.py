"""A small endpoint to send bodies to, and what it must answer by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kneighbors.formats import Limits
from kneighbors.items import Catalog
from kneighbors.sagemaker.model import Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

N_SAMPLES, N_FEATURES = 12, 4
IDS = [f"w{row:02d}" for row in range(N_SAMPLES)]
ITEMS: dict[str, list[Any]] = {
    "name": [f"Château n° {row}" for row in range(N_SAMPLES)],
    "price": [None if row == 3 else float(row) for row in range(N_SAMPLES)],
}


def corpus(n_samples: int = N_SAMPLES, n_features: int = N_FEATURES) -> NDArray[np.float64]:
    """Return rows of which the last two are the same vector."""
    X = np.random.default_rng(7).standard_normal((n_samples, n_features))
    X[-1] = X[-2]
    return X


def make_model(
    X: NDArray[Any] | None = None,
    metric: str = "cosine",
    *,
    ids: Any = IDS,
    items: Any = ITEMS,
    limits: Limits | None = None,
    default_n_neighbors: int = 10,
) -> Model:
    """Return a model of a corpus in memory."""
    X = corpus() if X is None else X
    table = None if items is None else pa.table(items)
    return Model(
        ExactIndex.build(ArrayRows(X), metric),
        Catalog(len(X), ids, table),
        limits=limits,
        default_n_neighbors=default_n_neighbors,
    )


def distances_to(X: NDArray[Any], q: NDArray[Any], metric: str) -> NDArray[np.float64]:
    """Return the distance of a query to every row, by the textbook's formula."""
    A, b = X.astype(np.float64), q.astype(np.float64)
    if metric == "cosine":
        lengths = np.linalg.norm(A, axis=1) * np.linalg.norm(b)
        return np.asarray(np.maximum(1 - A @ b / lengths, 0))
    if metric == "inner_product":
        return np.asarray(-(A @ b))
    gaps = np.linalg.norm(A - b, axis=1)
    return np.asarray(gaps if metric == "euclidean" else gaps**2)


def expected(
    X: NDArray[Any],
    q: NDArray[Any],
    n_neighbors: int,
    metric: str = "cosine",
    *,
    exclude: tuple[int, ...] = (),
    radius: float = np.inf,
) -> tuple[list[float], list[int]]:
    """Return distances and rows of a query's neighbours: nearest first, then the smaller row."""
    distances = distances_to(X, q, metric)
    # Equal vectors must tie, however the product above rounded them.
    _, group = np.unique(X, axis=0, return_inverse=True)
    for one in range(group.max() + 1):
        distances[group == one] = distances[group == one].min()
    order = np.lexsort((np.arange(len(X)), distances))
    rows = [int(r) for r in order if r not in exclude and distances[r] <= radius][:n_neighbors]
    return [float(distances[r]) for r in rows], rows
