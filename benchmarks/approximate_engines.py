"""Engines that look at some of the rows, each with the knob that says at how many.

All graphs have the same parameters, 32 links a row and 100 candidates while they are built, which
are ours by default; the knob is then searched for the least that reaches the recall asked for.
"""

from __future__ import annotations

import numpy as np
from engine import THREADS, Array, Built
from exact_engines import normalised

LINKS, CANDIDATES = 32, 100


def ours_hnsw(X: Array) -> Built:
    """Return this package's graph, its gate and its exact distances included."""
    from kneighbors.search.gate import check_corpus, check_queries
    from kneighbors.search.graph import GraphIndex
    from kneighbors.search.graph_building import build_graph
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.rows import ArrayRows

    exact = ExactIndex.build(ArrayRows(check_corpus(X, "cosine")), "cosine")
    index = build_graph(exact, M=LINKS, ef_construction=CANDIDATES)
    width = X.shape[1]

    def tune(effort: int) -> None:
        nonlocal index
        plan = index.plan | {"ef_search": effort}
        index = GraphIndex(exact, index.space, index.stream, index.order, plan)

    return Built(lambda Q, k: index.kneighbors(check_queries(Q, width, "cosine"), k)[1], tune)


def faiss_hnsw(X: Array) -> Built:
    """Return FAISS's graph."""
    import faiss

    index = faiss.IndexHNSWFlat(X.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = CANDIDATES
    index.add(normalised(X))

    def tune(effort: int) -> None:
        index.hnsw.efSearch = effort

    return Built(lambda Q, k: np.asarray(index.search(normalised(Q), k)[1]), tune)


def faiss_ivf(X: Array) -> Built:
    """Return FAISS's lists around centres, four times the square root of the number of rows."""
    import faiss

    lists = int(4 * np.sqrt(len(X)))
    coarse = faiss.IndexFlatIP(X.shape[1])
    index = faiss.IndexIVFFlat(coarse, X.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    Y = normalised(X)
    index.train(Y)
    index.add(Y)

    def tune(effort: int) -> None:
        index.nprobe = min(effort, lists)

    return Built(lambda Q, k: np.asarray(index.search(normalised(Q), k)[1]), tune)


def faiss_sq8(X: Array) -> Built:
    """Return FAISS's scan of one byte a number, its best rows scored again in float32."""
    import faiss

    coarse = faiss.IndexScalarQuantizer(
        X.shape[1], faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    Y = normalised(X)
    index = faiss.IndexRefineFlat(coarse)
    index.train(Y)
    index.add(Y)

    def tune(effort: int) -> None:
        index.k_factor = effort

    return Built(lambda Q, k: np.asarray(index.search(normalised(Q), k)[1]), tune)


def usearch_hnsw(X: Array) -> Built:
    """Return USearch's graph."""
    from usearch.index import Index

    index = Index(
        ndim=X.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=CANDIDATES,
    )
    index.add(np.arange(len(X)), normalised(X), threads=THREADS)

    def tune(effort: int) -> None:
        index.expansion_search = effort

    def search(Q: Array, k: int) -> Array:
        found = index.search(normalised(Q), k, threads=THREADS)
        return np.atleast_2d(np.asarray(found.keys)).astype(np.int64)

    return Built(search, tune)


def hnswlib(X: Array) -> Built:
    """Return hnswlib's graph."""
    import hnswlib as library

    index = library.Index(space="ip", dim=X.shape[1])
    index.init_index(len(X), M=LINKS, ef_construction=CANDIDATES, random_seed=1)
    index.set_num_threads(THREADS)
    index.add_items(normalised(X))
    return Built(
        lambda Q, k: np.asarray(index.knn_query(normalised(Q), k)[0]).astype(np.int64),
        index.set_ef,
    )


def voyager(X: Array) -> Built:
    """Return Voyager's graph."""
    import voyager as library

    index = library.Index(
        library.Space.InnerProduct, X.shape[1], M=LINKS, ef_construction=CANDIDATES, random_seed=1
    )
    index.add_items(normalised(X), num_threads=THREADS)
    knob = [LINKS]

    def tune(effort: int) -> None:
        knob[0] = effort

    def search(Q: Array, k: int) -> Array:
        found = index.query(normalised(Q), k, num_threads=THREADS, query_ef=max(k, knob[0]))
        return np.asarray(found[0]).astype(np.int64)

    return Built(search, tune)


def scann(X: Array) -> Built:
    """Return ScaNN's lists of quantised rows, a hundred of which are scored again."""
    import scann as library

    lists = int(2 * np.sqrt(len(X)))
    builder = library.scann_ops_pybind.builder(normalised(X), 10, "dot_product")
    builder.set_n_training_threads(THREADS)
    builder = builder.tree(num_leaves=lists, num_leaves_to_search=1, training_sample_size=len(X))
    index = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()
    index.set_num_threads(THREADS)
    knob = [1]

    def tune(effort: int) -> None:
        knob[0] = min(effort, lists)

    def search(Q: Array, k: int) -> Array:
        Q = normalised(Q)
        if len(Q) == 1:
            found = index.search(Q[0], final_num_neighbors=k, leaves_to_search=knob[0])[0]
            return np.asarray(found, np.int64)[np.newaxis]
        found = index.search_batched_parallel(Q, final_num_neighbors=k, leaves_to_search=knob[0])[0]
        return np.asarray(found).astype(np.int64)

    return Built(search, tune)


def pynndescent(X: Array) -> Built:
    """Return PyNNDescent's graph of neighbours; the knob is epsilon, in hundredths."""
    from pynndescent import NNDescent

    index = NNDescent(X, metric="cosine", random_state=1, n_jobs=THREADS)
    index.prepare()
    knob = [10]

    def tune(effort: int) -> None:
        knob[0] = effort

    return Built(lambda Q, k: np.asarray(index.query(Q, k, epsilon=knob[0] / 100)[0]), tune)
