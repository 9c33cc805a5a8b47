"""Engines that look at every row, or behave as if they did.

All answer cosine over float32 vectors; all but scikit-learn are given normalised vectors and an
inner product, if they have no cosine of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from engine import Array, Built
from numpy.typing import NDArray

_BLOCK = 65_536


def normalised(X: Array) -> Array:
    """Return the rows with length 1."""
    Y = np.empty(X.shape, np.float32)
    for start in range(0, len(X), _BLOCK):
        block = X[start : start + _BLOCK]
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        np.divide(block, lengths, out=Y[start : start + _BLOCK])
    return Y


def ours(X: Array) -> Built:
    """Return the exact search of this package, its gate included."""
    from kneighbors.search.gate import check_corpus, check_queries
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.rows import ArrayRows

    index = ExactIndex.build(ArrayRows(check_corpus(X, "cosine")), "cosine")
    width = X.shape[1]
    return Built(lambda Q, k: index.kneighbors(check_queries(Q, width, "cosine"), k)[1])


def blas_product(X: Array) -> Built:
    """Return one matrix product over the normalised vectors, and nothing else: no selection."""
    Y = normalised(X)
    return Built(lambda Q, k: Y @ Q[0] if len(Q) == 1 else Q @ Y.T)


def blas_top_k(X: Array) -> Built:
    """Return the product with the selection of the k best rows, in float32."""
    Y = normalised(X)

    def search(Q: Array, k: int) -> Array:
        scores = (Y @ Q[0])[np.newaxis] if len(Q) == 1 else Q @ Y.T
        rows = np.argpartition(scores, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(scores, rows, axis=1), axis=1)
        return np.take_along_axis(rows, order, axis=1)

    return Built(search)


def scikit_learn(X: Array, dtype: type[np.floating[Any]] = np.float32) -> Built:
    """Return scikit-learn's brute force, which is what it chooses for cosine."""
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(metric="cosine").fit(X.astype(dtype))

    def search(Q: Array, k: int) -> Array:
        return np.asarray(model.kneighbors(Q.astype(dtype), k, return_distance=False))

    return Built(search)


def scikit_learn_float64(X: Array) -> Built:
    """Return scikit-learn as the walk-through uses it, on float64."""
    return scikit_learn(X, np.float64)


def faiss_flat(X: Array) -> Built:
    """Return FAISS's exact index."""
    import faiss

    index = faiss.IndexFlatIP(X.shape[1])
    index.add(normalised(X))
    return Built(lambda Q, k: np.asarray(index.search(normalised(Q), k)[1]))


def usearch_exact(X: Array) -> Built:
    """Return USearch's exact search."""
    from usearch.index import search

    Y = normalised(X)

    def find(Q: Array, k: int) -> NDArray[np.int64]:
        found = search(Y, normalised(Q), k, "ip", exact=True, threads=2)
        return np.atleast_2d(np.asarray(found.keys)).astype(np.int64)

    return Built(find)
