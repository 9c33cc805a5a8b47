"""The trade-off of a saved graph: what each width of a search finds, and what it takes."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kneighbors.errors import ParameterRefused
from kneighbors.evaluate.index_recall_report import SAMPLE, index_of
from kneighbors.search.gate import check_n_neighbors, check_queries
from kneighbors.search.graph import GraphIndex
from kneighbors.search.graph_setting import DEFAULT_CONFIDENCE, Wanted
from kneighbors.search.graph_tuning import Sample, settings_of


def trade_off(
    model: Any,
    queries: ArrayLike | None = None,
    *,
    n_neighbors: int = 10,
    sample: int = SAMPLE,
    confidence: float = DEFAULT_CONFIDENCE,
    random_state: int = 0,
) -> list[dict[str, Any]]:
    """Measure a graph with searches of several widths, and exact search beside them.

    Parameters
    ----------
    model : Artifact, fitted estimator or index
        With a graph. It goes on answering as it did.
    queries : array-like of shape (n_queries, n_features), optional
        By default `sample` rows, each without itself.
    n_neighbors : int, default=10
    sample : int, default=500
    confidence : float, default=0.95
        One-sided, of ``low``.
    random_state : int, default=0

    Returns
    -------
    list of dict
        The fields of `kneighbors.search.graph_tuning.Setting`; the widest search first, exact
        search last.

    Raises
    ------
    ParameterRefused
        With code ``trade-off-exact`` where there is no graph, and as `index_recall`.
    """
    index = index_of(model)
    if not isinstance(index, GraphIndex):
        raise ParameterRefused(
            "trade-off-exact",
            "Expected an approximate index, got one whose answers are exact: nothing is traded.",
            hint="Train with --target-recall or --algorithm hnsw.",
        )
    if not 0 < confidence < 1:
        raise ParameterRefused(
            "confidence-range", f"Expected 0 < confidence < 1, got {confidence}."
        )
    itself = None
    if queries is None:
        if sample < 1:
            raise ParameterRefused("sample-range", f"Expected sample >= 1, got {sample}.")
        random = np.random.default_rng(random_state)
        count = min(sample, index.n_samples)
        chosen = np.sort(random.choice(index.n_samples, count, replace=False)).astype(np.int64)
        Q = index.rows.take(chosen)
        itself = list(chosen[:, np.newaxis])
    else:
        Q = check_queries(queries, index.n_features, index.metric, name="queries")
    n_neighbors = check_n_neighbors(n_neighbors, max(1, index.n_samples - (itself is not None)))
    measured = Sample(index.exact, Q, n_neighbors, exclude=itself)
    # A copy, for others may be searching meanwhile.
    settings = settings_of(copy.copy(index), measured, Wanted(0.0, confidence, n_neighbors))
    return [asdict(one) for one in [*settings, measured.exact_setting()]]
