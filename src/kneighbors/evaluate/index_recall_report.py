"""Index recall: how much of the exact answer an index gives, whatever its engine."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kneighbors.errors import ParameterRefused
from kneighbors.evaluate.index_recall_scan import scan
from kneighbors.search.gate import check_n_neighbors, check_queries
from kneighbors.search.graph_recall import RecallSummary, recalls_by_distance, recalls_by_id
from kneighbors.search.metrics import Float64Array
from kneighbors.search.progress import Progress, ignore

#: Rows asked where no queries are given.
SAMPLE = 500


@dataclass(frozen=True)
class IndexRecall:
    """What `index_recall` found.

    Attributes
    ----------
    engine : str
        What answered, such as ``"head"`` or ``"hnsw"``.
    is_exact : bool
        Whether the engine is one that gives exact answers.
    n_neighbors, n_queries : int
    queries : str
        ``"given"``, or ``"rows"``: of the corpus, each without itself.
    confidence : float
        Of the intervals.
    by_id : RecallSummary
        Share of the true neighbours that were found.
    by_distance : RecallSummary
        Share of the answers that are as near as the last true neighbour, so that ties are fair.
    query_ms : float
        Median time of a query asked alone.
    recalls_by_id, recalls_by_distance : ndarray of shape (n_queries,), dtype float64
        Of each query.
    """

    engine: str
    is_exact: bool
    n_neighbors: int
    n_queries: int
    queries: str
    confidence: float
    by_id: RecallSummary
    by_distance: RecallSummary
    query_ms: float
    recalls_by_id: Float64Array = field(repr=False, compare=False)
    recalls_by_distance: Float64Array = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able values; the recalls of single queries are left out."""
        fields = asdict(self)
        del fields["recalls_by_id"], fields["recalls_by_distance"]
        return fields


def index_recall(
    model: Any,
    queries: ArrayLike | None = None,
    *,
    n_neighbors: int = 10,
    sample: int = SAMPLE,
    confidence: float = 0.95,
    random_state: int = 0,
    progress: Progress = ignore,
) -> IndexRecall:
    """Compare an index with a full scan in float64, on queries of one's own or on sample rows.

    Parameters
    ----------
    model : Artifact, fitted estimator or index
        What answers.
    queries : array-like of shape (n_queries, n_features), optional
        Such as users send. By default rows of the corpus are asked, each without itself; a graph
        finds the neighbours of rows that it holds somewhat more easily than those of others.
    n_neighbors : int, default=10
        Neighbours that are compared.
    sample : int, default=500
        Rows to ask, at most all; without `queries` only.
    confidence : float, default=0.95
        Of the intervals, two-sided; see `kneighbors.search.graph_confidence` for what they assume.
    random_state : int, default=0
        Of the choice of rows.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    IndexRecall

    Raises
    ------
    ParameterRefused
        With code ``confidence-range``, ``sample-range``, ``n-neighbors-range`` or
        ``n-neighbors-type``.
    ArrayRefused
        Where the queries do not fit the corpus.

    Notes
    -----
    2 * n_queries * n_samples * n_features operations for the scan, and two rounds of queries.

    Examples
    --------
    >>> import numpy as np
    >>> from kneighbors import NearestNeighbors
    >>> from kneighbors.evaluate import index_recall
    >>> X = np.random.default_rng(0).standard_normal((200, 8))
    >>> found = index_recall(NearestNeighbors().fit(X), n_neighbors=5)
    >>> found.by_id.mean, found.n_queries
    (1.0, 200)
    """
    index = index_of(model)
    if not 0 < confidence < 1:
        raise ParameterRefused(
            "confidence-range", f"Expected 0 < confidence < 1, got {confidence}."
        )
    itself = None
    if queries is None:
        if sample < 1:
            raise ParameterRefused("sample-range", f"Expected sample >= 1, got {sample}.")
        # Without itself, a row has one neighbour less to offer.
        n_neighbors = check_n_neighbors(n_neighbors, max(1, index.n_samples - 1))
        random = np.random.default_rng(random_state)
        chosen = random.choice(index.n_samples, min(sample, index.n_samples), replace=False)
        chosen = np.sort(chosen).astype(np.int64)
        Q = index.rows.take(chosen)
        itself = list(chosen[:, np.newaxis])
    else:
        Q = check_queries(queries, index.n_features, index.metric, name="queries")
        if not len(Q):
            raise ParameterRefused("sample-range", "Expected at least one query, got none.")
        n_neighbors = check_n_neighbors(n_neighbors, index.n_samples)
    true = scan(index.rows, index.metric, Q, n_neighbors, itself, progress)
    distances = np.empty(true[0].shape)
    rows = np.empty(true[1].shape, np.int64)
    times = []
    index.warm_up()
    for query in range(len(Q)):
        part = slice(query, query + 1)
        began = time.perf_counter()
        distances[part], rows[part] = index.kneighbors(
            Q[part], n_neighbors, exclude=None if itself is None else itself[part]
        )
        times.append(time.perf_counter() - began)
        progress("asking", query + 1, len(Q))
    by_id, by_distance = recalls_by_id(rows, true[1]), recalls_by_distance(distances, true[0])
    return IndexRecall(
        engine=str(index.plan.get("engine", "unknown")),
        is_exact=index.is_exact,
        n_neighbors=n_neighbors,
        n_queries=len(Q),
        queries="rows" if itself is not None else "given",
        confidence=confidence,
        by_id=RecallSummary.of(by_id, confidence),
        by_distance=RecallSummary.of(by_distance, confidence),
        query_ms=float(np.median(times)) * 1e3,
        recalls_by_id=by_id,
        recalls_by_distance=by_distance,
    )


def index_of(model: Any) -> Any:
    """Return the index of an artifact or of a fitted estimator, or an index as it is.

    Raises
    ------
    ParameterRefused
        With code ``evaluate-no-index``: an estimator that scikit-learn answers has none.
    """
    index = getattr(model, "index_", None) or getattr(model, "index", model)
    if not hasattr(index, "is_exact"):
        raise ParameterRefused(
            "evaluate-no-index",
            f"Expected an artifact, a fitted estimator with an index, or an index, "
            f"got {type(model).__name__}.",
            hint="What scikit-learn answers has no index: use cosine, euclidean, sqeuclidean or "
            "inner_product with dense data.",
        )
    return index
