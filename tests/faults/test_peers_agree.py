"""Random problems on which this package, scikit-learn, numpy and FAISS have to agree.

Ties may be broken differently elsewhere, so that distances are compared, and those of the rows that
the others name; by tolerances that are theirs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from fuzz.profiles import share
from kneighbors.search.gate import check_corpus, check_queries
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import ArrayRows
from support import oracle, problems
from support.counts import Counts

pytestmark = pytest.mark.faults

#: For each metric and dtype in a check; a soak takes a thousand.
PROBLEMS, QUERIES = 100, 3
#: Kinds on which formulas in float32, or without care for cancellation, are any good.
TAME = ("isotropic", "clustered", "steep", "grid", "duplicates", "one_hot", "constant_columns")


def neighbours_of_sklearn(X: Any, Q: Any, metric: str, k: int) -> tuple[Any, Any]:
    fitted = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(X)
    distances, rows = fitted.kneighbors(Q)
    return distances, rows


def neighbours_of_faiss(X: Any, Q: Any, metric: str, k: int) -> tuple[Any, Any]:
    faiss = pytest.importorskip("faiss")
    A, B = X.astype(np.float32), Q.astype(np.float32)
    if metric == "cosine":
        A /= np.linalg.norm(A, axis=1, keepdims=True)
        B /= np.linalg.norm(B, axis=1, keepdims=True)
    kind = faiss.IndexFlatL2 if metric.endswith("euclidean") else faiss.IndexFlatIP
    flat = kind(X.shape[1])
    flat.add(np.ascontiguousarray(A))
    found, rows = flat.search(np.ascontiguousarray(B), k)
    if metric == "cosine":
        return 1 - found, rows
    if metric == "inner_product":
        return -found, rows
    return (np.sqrt(np.maximum(found, 0)) if metric == "euclidean" else found), rows


def rounding(metric: str, dtype: np.dtype[Any], scale: float) -> float:
    """Return how far off distances by the usual formulas may be, for numbers of some scale.

    Euclid's, by products, loses half of the digits where a distance is near 0.
    """
    loss = float(np.finfo(dtype).eps) * scale * 16
    return math.sqrt(loss) if metric == "euclidean" else loss


def compare(exact: list[Any], ours: Any, theirs: tuple[Any, Any], slack: float) -> None:
    """Assert that two answers are the same, but for ties and rounding."""
    for number, every in enumerate(exact):
        distances, rows = theirs[0][number], theirs[1][number]
        np.testing.assert_allclose(distances, ours[number], rtol=0, atol=slack)
        np.testing.assert_allclose(every[rows], ours[number], rtol=0, atol=slack)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_the_peers_find_the_same_neighbours(metric: str, dtype: str) -> None:
    counts = Counts(f"random problems, {metric}, {dtype}", "peers")
    random = np.random.default_rng([sorted(METRICS).index(metric), dtype == "float64"])
    try:
        for _ in range(share(PROBLEMS)):
            counts.tried += 1
            kind = TAME[random.integers(len(TAME))]
            n, d = int(random.integers(1, 80)), int(random.integers(1, 20))
            X = check_corpus(problems.corpus(kind, n, d, np.dtype(dtype), random), metric)
            Q = random.standard_normal((QUERIES, d)).astype(dtype)
            Q[0] = X[random.integers(n)]
            Q = check_queries(Q, d, metric)
            k = int(random.integers(1, n + 1))
            ours, _ = ExactIndex.build(ArrayRows(X), metric).kneighbors(Q, k)
            scale = float(1 + np.abs(X).max() ** 2 * d + np.abs(Q).max() ** 2 * d)
            exact = [oracle.distances(metric, X, q) for q in Q]
            for one, mine in zip(exact, ours, strict=True):
                np.testing.assert_allclose(mine, np.sort(one)[:k], rtol=1e-12, atol=1e-12)
            if metric != "inner_product":  # which scikit-learn does not know
                slack = rounding(metric, np.dtype(dtype), scale)
                compare(exact, ours, neighbours_of_sklearn(X, Q, metric, k), slack)
            slack = rounding(metric, np.dtype(np.float32), scale)
            compare(exact, ours, neighbours_of_faiss(X, Q, metric, k), slack)
    except AssertionError:
        counts.wrong += 1
        raise
    finally:
        counts.record()
