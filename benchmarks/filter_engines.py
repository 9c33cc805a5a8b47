"""Engines that find the neighbours among the rows that a condition on an attribute leaves.

Each is given vectors and one number a row, and asked for the rows whose number is below a limit.
All are exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from engine import Array
from exact_engines import normalised

#: From one query, the number of neighbours and the limit (none: no condition) to rows.
FilteredSearch = Callable[[Array, int, float | None], Array]


def ours(X: Array, numbers: Array) -> FilteredSearch:
    """Return this package's recommender, which reads the filter as it reads a client's."""
    import pyarrow as pa

    from kneighbors.items import Catalog
    from kneighbors.recommend import Recommender
    from kneighbors.search.gate import check_corpus
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.rows import ArrayRows

    index = ExactIndex.build(ArrayRows(check_corpus(X, "cosine")), "cosine")
    recommender = Recommender(index, Catalog(len(X), None, pa.table({"number": numbers})))

    def search(query: Array, k: int, limit: float | None) -> Array:
        condition = None if limit is None else {"number": {"lt": limit}}
        (found,) = recommender.neighbors(
            vectors=query, n_neighbors=k, include_items=False, filter=condition
        )
        return np.asarray(found.indices)

    return search


def pandas_then_scikit_learn(X: Array, numbers: Array) -> FilteredSearch:
    """Return a selection by pandas, and scikit-learn's brute force on what it leaves."""
    import pandas as pd
    from sklearn.neighbors import NearestNeighbors

    table = pd.DataFrame({"number": numbers})
    whole = NearestNeighbors(metric="cosine").fit(X)

    def search(query: Array, k: int, limit: float | None) -> Array:
        if limit is None:
            return np.asarray(whole.kneighbors(query[np.newaxis], k, return_distance=False)[0])
        rows = np.flatnonzero((table["number"] < limit).to_numpy())
        model = NearestNeighbors(metric="cosine").fit(X[rows])
        return np.asarray(rows[model.kneighbors(query[np.newaxis], k, return_distance=False)[0]])

    return search


def qdrant_local(X: Array, numbers: Array) -> FilteredSearch:
    """Return Qdrant's local mode, which is written in Python and numpy."""
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    vectors = models.VectorParams(size=X.shape[1], distance=models.Distance.COSINE)
    client.create_collection("rows", vectors_config=vectors)
    for start in range(0, len(X), 10_000):
        stop = min(start + 10_000, len(X))
        batch = models.Batch(
            ids=list(range(start, stop)),
            vectors=X[start:stop].tolist(),
            payloads=[{"number": float(number)} for number in numbers[start:stop]],
        )
        client.upsert("rows", batch)

    def search(query: Array, k: int, limit: float | None) -> Array:
        condition = None
        if limit is not None:
            below = models.FieldCondition(key="number", range=models.Range(lt=limit))
            condition = models.Filter(must=[below])
        found = client.query_points("rows", query.tolist(), query_filter=condition, limit=k)
        return np.array([int(point.id) for point in found.points])

    return search


def lancedb_exact(X: Array, numbers: Array) -> FilteredSearch:
    """Return LanceDB without an index, the condition applied first."""
    import tempfile

    import lancedb
    import pyarrow as pa

    folder = tempfile.mkdtemp(prefix="kneighbors-lance-")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(normalised(X).ravel()), X.shape[1])
    rows = pa.array(np.arange(len(X)))
    data = pa.table({"row": rows, "number": pa.array(numbers), "vector": vectors})
    table = lancedb.connect(folder).create_table("rows", data)

    def search(query: Array, k: int, limit: float | None) -> Array:
        request = table.search(query).distance_type("cosine").select(["row", "_distance"]).limit(k)
        if limit is not None:
            request = request.where(f"number < {limit}", prefilter=True)
        return np.array([one["row"] for one in request.to_list()])

    return search


FILTER_ENGINES: dict[str, tuple[str, Callable[[Array, Array], FilteredSearch]]] = {
    "kneighbors": ("kneighbors, exact", ours),
    "pandas_scikit_learn": ("pandas, then scikit-learn", pandas_then_scikit_learn),
    "lancedb": ("LanceDB, no index", lancedb_exact),
    "qdrant_local": ("Qdrant, local mode", qdrant_local),
}
