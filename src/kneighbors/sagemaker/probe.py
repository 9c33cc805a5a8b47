"""What a single query costs on a new index: measured, with rows of the corpus as queries."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kneighbors.search.graph_opening import Index
from kneighbors.search.metrics import Float64Array
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import ArrayRows, FloatArray, RowArray

_QUERIES = 200
#: A slow corpus is measured with fewer queries, but not with so few that a median says nothing.
_SECONDS = 3.0
_FEWEST = 10


@dataclass(frozen=True)
class Probe:
    """Figures of sample queries.

    Parameters
    ----------
    candidates_share : float
        Rows that were scored from the original vectors, as a share of all, on average.
    query_ms : dict of str to float
        ``median`` and ``p99`` in milliseconds, and ``queries``, how many there were.
    nearest, farthest : ndarray of up to 200 float64
        Distances to the first and to the last of the neighbours that each row of the sample has
        beside itself; empty for a corpus of one row.
    """

    candidates_share: float
    query_ms: dict[str, float]
    nearest: Float64Array = field(repr=False, compare=False)
    farthest: Float64Array = field(repr=False, compare=False)


class CountingRows(ArrayRows):
    """Rows of an array that count how many of them were taken one by one."""

    def __init__(self, X: FloatArray) -> None:
        super().__init__(X)
        self.taken = 0

    def take(self, rows: RowArray) -> FloatArray:
        """Return copies of the given rows, and count them."""
        self.taken += len(rows)
        return super().take(rows)


def probe_index(
    index: Index,
    rows: CountingRows,
    n_neighbors: int,
    seed: int,
    progress: Progress = ignore,
) -> Probe:
    """Ask an index for the neighbours of some of its own rows, one at a time.

    Parameters
    ----------
    index : ExactIndex or GraphIndex
        Built on `rows`.
    rows : CountingRows
        The corpus.
    n_neighbors : int
        Neighbours of each query.
    seed : int
        Of the choice of rows.
    progress : Progress, optional
        Called with the stage ``"measuring"`` and queries.

    Returns
    -------
    Probe

    Notes
    -----
    Up to 200 queries, or as many as three seconds allow, but ten at least; for the distances, all
    200 together.
    """
    n_samples = index.n_samples
    wanted = min(_QUERIES, n_samples)
    chosen = np.random.default_rng(seed).choice(n_samples, size=wanted, replace=False)
    index.warm_up()
    before = rows.taken
    times: list[float] = []
    began = time.perf_counter()
    for done, row in enumerate(chosen.tolist(), start=1):
        query: Any = rows.slice(row, row + 1)
        start = time.perf_counter()
        index.kneighbors(query, n_neighbors)
        times.append(time.perf_counter() - start)
        progress("measuring", done, wanted)
        if done >= _FEWEST and time.perf_counter() - began > _SECONDS:
            break
    milliseconds = np.array(times) * 1e3
    scored = (rows.taken - before) / len(times)
    n_others = min(n_neighbors, n_samples - 1)
    distances = np.empty((0, 1))
    if n_others:
        # Of all that were chosen, however many there was time to ask alone: the same every time.
        queries: Any = rows.X[chosen]
        distances, _ = index.kneighbors(queries, n_others, exclude=list(chosen[:, np.newaxis]))
    return Probe(
        candidates_share=scored / n_samples,
        query_ms={
            "median": float(np.median(milliseconds)),
            "p99": float(np.percentile(milliseconds, 99)),
            "queries": len(times),
        },
        nearest=distances[:, 0],
        farthest=distances[:, -1],
    )
