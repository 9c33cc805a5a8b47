"""One way to search, what it came to, and what is looked for."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Setting:
    """One way to search, and what it came to.

    Attributes
    ----------
    engine : str
        ``"exact"`` or ``"hnsw"``.
    M, ef_construction, ef_search : int or None
        None for exact search.
    recall : float
        Mean recall by distance over the sample.
    recall_by_id : float
    low : float
        What the mean recall of all such queries is at least, with the confidence asked for.
    p5 : float
        5th percentile of the queries' recalls.
    query_ms : float
        Median time of a query asked alone, in milliseconds.
    passes : bool
        Whether it reaches the target.
    """

    engine: str
    M: int | None
    ef_construction: int | None
    ef_search: int | None
    recall: float
    recall_by_id: float
    low: float
    p5: float
    query_ms: float
    passes: bool


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    Parameters
    ----------
    target_recall : float
    confidence : float
    n_neighbors : int
    """

    target_recall: float
    confidence: float = DEFAULT_CONFIDENCE
    n_neighbors: int = 10
