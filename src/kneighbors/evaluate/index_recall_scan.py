"""The nearest rows by a full scan in float64, which shares no bounds with any index."""

from __future__ import annotations

import numpy as np

from kneighbors.search.metrics import METRICS, Float64Array, lengths
from kneighbors.search.progress import Progress
from kneighbors.search.rows import FloatArray, RowArray, Rows
from kneighbors.search.topk import Best

#: Elements of a block of rows: 16 MiB in float64.
_BLOCK_ELEMENTS = 1 << 21
_MOST_QUERIES = 256


def scan(
    rows: Rows,
    metric: str,
    Q: FloatArray,
    n_neighbors: int,
    exclude: list[RowArray] | None,
    progress: Progress,
) -> tuple[Float64Array, RowArray]:
    """Return distances and rows, both of shape (n_queries, n_neighbors), as an index does.

    A product in float64 tells which rows may be among the nearest, with room for all that it may
    have rounded; these get their distances by their definition.

    Notes
    -----
    2 * n_queries * n_samples * n_features operations; reads the corpus once for every 256 queries.
    """
    best_distances = np.empty((len(Q), n_neighbors))
    best_rows = np.empty((len(Q), n_neighbors), np.int64)
    for start in range(0, len(Q), _MOST_QUERIES):
        part = slice(start, start + _MOST_QUERIES)
        pass_ = _Pass(rows, metric, Q[part], n_neighbors, exclude[part] if exclude else None)
        step = max(1, _BLOCK_ELEMENTS // rows.shape[1])
        for first in range(0, rows.shape[0], step):
            pass_.take_in(first, min(first + step, rows.shape[0]))
            progress("scanning", start * rows.shape[0] + first * len(Q[part]), _total(rows, Q))
        best_distances[part], best_rows[part] = pass_.best()
    progress("scanning", _total(rows, Q), _total(rows, Q))
    return best_distances, best_rows


def _total(rows: Rows, Q: FloatArray) -> int:
    return rows.shape[0] * len(Q)


class _Pass:
    """Some queries on their way through the corpus."""

    def __init__(
        self,
        rows: Rows,
        metric: str,
        Q: FloatArray,
        n_neighbors: int,
        exclude: list[RowArray] | None,
    ) -> None:
        self.rows = rows
        self.metric = METRICS[metric]
        self.Q = self.metric.prepare(Q)
        self.lengths = lengths(self.Q)
        self.exclude = exclude
        self.nearest = np.full((len(Q), n_neighbors), np.inf)
        self.kept: list[tuple[RowArray, RowArray, Float64Array]] = []

    def take_in(self, first: int, last: int) -> None:
        """Keep the pairs of a query and a row out of these that may be among the nearest."""
        V = self.metric.prepare(self.rows.slice(first, last))
        with np.errstate(over="ignore", invalid="ignore"):
            norms = lengths(V)
            products = self.Q @ V.T
            gaps = -products
            if self.metric.name != "inner_product":
                gaps = np.square(self.lengths)[:, np.newaxis] + np.square(norms) + 2 * gaps
            # What either side may have rounded, both ways.
            slack = 4 * (V.shape[1] + 8) * 2.0**-53 * (self.lengths[:, np.newaxis] + norms) ** 2
        # Beyond the range of float64 nothing is known of a pair, so it is kept.
        lost = ~np.isfinite(gaps) | ~np.isfinite(slack)
        gaps[lost], slack[lost] = np.inf, 0.0
        for query, rows in enumerate(self.exclude or ()):
            inside = rows[(rows >= first) & (rows < last)] - first
            gaps[query, inside], lost[query, inside] = np.inf, False
        k = self.nearest.shape[1]
        highest = np.concatenate([self.nearest, gaps + slack], axis=1)
        self.nearest = np.partition(highest, k - 1, axis=1)[:, :k]
        lowest = gaps - slack
        limits = self.nearest.max(axis=1)[:, np.newaxis]
        queries, columns = np.nonzero(((lowest <= limits) & np.isfinite(gaps)) | lost)
        lowest[lost] = -np.inf
        self.kept.append((queries, columns + first, lowest[queries, columns]))

    def best(self) -> tuple[Float64Array, RowArray]:
        """Return the nearest of all that was kept."""
        queries = np.concatenate([one[0] for one in self.kept])
        rows = np.concatenate([one[1] for one in self.kept])
        lowest = np.concatenate([one[2] for one in self.kept])
        near = lowest <= self.nearest.max(axis=1)[queries]
        queries, rows = queries[near], rows[near]
        best = Best(len(self.Q), self.nearest.shape[1])
        step = max(1, _BLOCK_ELEMENTS // self.Q.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            V, Q = self.rows.take(rows[part]), self.Q[queries[part]]
            best.merge(queries[part], self.metric.distances(V, Q), rows[part])
        return best.distances, best.rows
