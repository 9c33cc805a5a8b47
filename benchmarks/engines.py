"""The engines that are compared, each a function from queries to the rows of their neighbours.

All answer cosine over float32 vectors. scikit-learn is used as in the walk-through: `metric=cosine`
over the vectors as they are; the others get normalised vectors and an inner product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Search = Callable[[Array, int], Array]


def _normalised(X: Array) -> Array:
    return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True), dtype=np.float32)


def ours(X: Array) -> Search:
    """Return the exact search of this package, its gate included."""
    from kneighbors.search.gate import check_corpus, check_queries
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.rows import ArrayRows

    index = ExactIndex.build(ArrayRows(check_corpus(X, "cosine")), "cosine")
    width = X.shape[1]
    return lambda Q, k: index.kneighbors(check_queries(Q, width, "cosine"), k)[1]


def blas(X: Array) -> Search:
    """Return one matrix product over the normalised vectors, and nothing else: no selection."""
    Y = _normalised(X)
    return lambda Q, k: Y @ Q[0] if len(Q) == 1 else Q @ Y.T


def blas_top_k(X: Array) -> Search:
    """Return the product with the selection of the k best rows, in float32."""
    Y = _normalised(X)

    def search(Q: Array, k: int) -> Array:
        scores = (Y @ Q[0])[np.newaxis] if len(Q) == 1 else Q @ Y.T
        rows = np.argpartition(-scores, k, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, rows, axis=1), axis=1)
        return np.take_along_axis(rows, order, axis=1)

    return search


def scikit_learn(X: Array) -> Search:
    """Return scikit-learn as the walk-through uses it."""
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(metric="cosine").fit(X)
    return lambda Q, k: np.asarray(model.kneighbors(Q, k, return_distance=False))


def faiss_flat(X: Array) -> Search:
    """Return FAISS's exact index."""
    import faiss

    index = faiss.IndexFlatIP(X.shape[1])
    index.add(_normalised(X))
    return lambda Q, k: np.asarray(index.search(_normalised(Q), k)[1])


def usearch_exact(X: Array) -> Search:
    """Return USearch's exact search."""
    from usearch.index import search

    Y = _normalised(X)

    def find(Q: Array, k: int) -> Array:
        found = search(Y, _normalised(Q), k, "ip", exact=True)
        return np.atleast_2d(np.asarray(found.keys)).astype(np.int64)

    return find


ENGINES: dict[str, Callable[[Array], Search]] = {
    "kneighbors": ours,
    "blas_product": blas,
    "blas_top_k": blas_top_k,
    "faiss_flat": faiss_flat,
    "usearch_exact": usearch_exact,
    "scikit_learn": scikit_learn,
}
#: Does not select neighbours, so it has no recall.
PRODUCT_ONLY = frozenset({"blas_product"})
