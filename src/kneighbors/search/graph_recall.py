"""How much of an exact answer another answer holds, query by query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.graph_confidence import interval
from kneighbors.search.metrics import Float64Array
from kneighbors.search.rows import RowArray


def recalls_by_id(found: RowArray, true: RowArray) -> Float64Array:
    """Return for each query the share of its true rows that were found.

    Parameters
    ----------
    found, true : ndarray of shape (n_queries, n_neighbors), dtype int64
        -1 is no row.

    Examples
    --------
    >>> recalls_by_id(np.array([[3, 1], [2, 0]]), np.array([[1, 3], [2, 7]]))
    array([1. , 0.5])
    """
    hits = [np.isin(one[one >= 0], other).sum() for one, other in zip(true, found, strict=True)]
    return _shares(np.asarray(hits), (true >= 0).sum(axis=1))


def recalls_by_distance(found: Float64Array, true: Float64Array) -> Float64Array:
    """Return for each query the share of its answers that are as near as the last true one.

    Rows that tie at the end are as good as each other, which an id does not tell. Both distances
    are those of float64 arithmetic on the same vectors, so that they are compared as they are.

    Parameters
    ----------
    found, true : ndarray of shape (n_queries, n_neighbors), dtype float64
        Infinity where there is no row.

    Examples
    --------
    >>> recalls_by_distance(np.array([[0.1, 0.2], [0.1, 0.3]]), np.array([[0.1, 0.2], [0.1, 0.2]]))
    array([1. , 0.5])
    """
    real = np.isfinite(true)
    limits = np.where(real, true, -np.inf).max(axis=1, initial=-np.inf)
    hits = (found <= limits[:, np.newaxis]) & np.isfinite(found)
    counts = real.sum(axis=1)
    return _shares(np.minimum(hits.sum(axis=1), counts), counts)


def _shares(hits: NDArray[np.integer[Any]], counts: NDArray[np.integer[Any]]) -> Float64Array:
    # Where there is nothing to find, nothing is missed.
    return np.where(counts > 0, hits / np.maximum(counts, 1), 1.0)


@dataclass(frozen=True)
class RecallSummary:
    """What the recalls of a sample of queries say of all queries like them.

    Attributes
    ----------
    mean : float
    low, high : float
        The mean over all such queries lies between them, with the confidence asked for.
    p5 : float
        5th percentile: one query in twenty has at most this recall.
    worst : float
        Least recall of a query.
    """

    mean: float
    low: float
    high: float
    p5: float
    worst: float

    @classmethod
    def of(cls, recalls: Float64Array, confidence: float) -> RecallSummary:
        """Summarise the recalls of at least one query.

        Examples
        --------
        >>> summary = RecallSummary.of(np.array([1.0, 1.0, 0.5, 1.0]), 0.95)
        >>> summary.mean, summary.worst
        (0.875, 0.5)
        """
        low, high = interval(recalls, confidence)
        return cls(
            float(recalls.mean()),
            low,
            high,
            # A recall that some query has, not one between two queries.
            float(np.quantile(recalls, 0.05, method="inverted_cdf")),
            float(recalls.min()),
        )
