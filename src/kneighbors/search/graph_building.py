"""Building a graph: rows in random order, the last ones perhaps held out for a while."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ParameterRefused
from kneighbors.search.graph import ENGINE, GraphIndex
from kneighbors.search.graph_library import Builder
from kneighbors.search.graph_space import GraphSpace
from kneighbors.search.index import ExactIndex
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rounding import Float32Array

DEFAULT_M = 32
DEFAULT_EF_CONSTRUCTION = 100
DEFAULT_EF_SEARCH = 64

#: Rows that the range of the codes is learnt from.
_TRAIN_ROWS = 1 << 15
#: Rows placed and added at a time.
_ADDED_ROWS = 1 << 13
#: Sample on which codes are tried: queries, and neighbours that must be among twice as many.
_TRIAL_QUERIES = 128
_TRIAL_NEIGHBORS = 10
#: Codes of one byte must keep this share of them.
_KEPT = 0.998
#: Most rows: FAISS numbers nodes in 32 bits.
_MOST_ROWS = (1 << 31) - 1


class GraphDraft:
    """A graph that is being built on the rows of an exact index.

    Parameters
    ----------
    exact : ExactIndex
    links, ef_construction : int
        HNSW's M and efConstruction.
    random_state : int
        Seed of the order in which rows are added: a corpus sorted by kind makes poor graphs.
    """

    def __init__(
        self, exact: ExactIndex, links: int, ef_construction: int, random_state: int
    ) -> None:
        n_samples = exact.n_samples
        if n_samples > _MOST_ROWS:
            raise ParameterRefused(
                "graph-rows",
                f"Expected at most {_MOST_ROWS:,} rows for a graph, got {n_samples:,}.",
            )
        random = np.random.default_rng(random_state)
        self.exact = exact
        self.links = links
        self.ef_construction = ef_construction
        self.space = GraphSpace.of(exact.rows, exact.metric, random)
        self.order = random.permutation(n_samples).astype(np.int32)
        sample = self._vectors(self.order[:_TRAIN_ROWS])
        self.codes = _codes_for(sample)
        self._builder = Builder(self.space.width, self.codes, links, ef_construction)
        self._builder.train(sample)
        self._n_added = 0

    def add_until(self, stop: int, progress: Progress = ignore) -> None:
        """Add nodes until there are `stop`."""
        while self._n_added < stop:
            end = min(self._n_added + _ADDED_ROWS, stop)
            self._builder.add(self._vectors(self.order[self._n_added : end]))
            self._n_added = end
            progress("linking", end, len(self.order))

    def finish(self, ef_search: int, reason: str, progress: Progress = ignore) -> GraphIndex:
        """Add what is left and return the index."""
        self.add_until(len(self.order), progress)
        return self.index(ef_search, reason)

    def index(self, ef_search: int, reason: str) -> GraphIndex:
        """Return an index of the nodes that there are; the others are found by no search."""
        plan = {
            "engine": ENGINE,
            "reason": reason,
            "M": self.links,
            "ef_construction": self.ef_construction,
            "ef_search": ef_search,
            "codes": self.codes,
            "exponent": self.space.exponent,
            "exact": self.exact.plan,
        }
        order = self.order[: self._n_added]
        return GraphIndex(self.exact, self.space, self._builder.stream(), order, plan)

    def _vectors(self, nodes: NDArray[np.int32]) -> Float32Array:
        return self.space.rows(self.exact.rows.take(nodes.astype(np.int64)))


def build_graph(
    exact: ExactIndex,
    *,
    M: int = 32,
    ef_construction: int = 100,
    ef_search: int = 64,
    random_state: int = 0,
    progress: Progress = ignore,
) -> GraphIndex:
    """Build a graph over the rows of an exact index.

    Parameters
    ----------
    exact : ExactIndex
    M : int, default=32
        Neighbours of a node, twice as many on the lowest level: 8 * M bytes a row.
    ef_construction : int, default=100
        Candidates that a new node's neighbours are chosen from.
    ef_search : int, default=64
        Candidates that a search goes on with; more find more and take longer.
    random_state : int, default=0
        Of the order in which rows are added. Threads add them at the same time, so two graphs of
        one corpus differ all the same.
    progress : callable, optional

    Returns
    -------
    GraphIndex

    Raises
    ------
    MissingExtra
        Where faiss-cpu is not installed.

    Notes
    -----
    O(n_samples * ef_construction * M) distances, with all threads; memory for codes of one or two
    bytes an element and 8 * M + 20 bytes a row, twice while it is written.
    """
    draft = GraphDraft(exact, M, ef_construction, random_state)
    draft.add_until(exact.n_samples, progress)
    return draft.finish(ef_search, f"asked for, with M {M} and ef_search {ef_search}")


def _codes_for(sample: Float32Array) -> str:
    """Return the smallest codes that keep neighbours apart, by trying on a sample.

    One byte an element, with one range for all elements, is the fastest; where some elements are
    much larger than others it is too coarse.
    """
    low, high = float(np.min(sample)), float(np.max(sample))
    step = max((high - low) / 255, 1e-30)
    coarse = np.round((sample - low) / step) * step + low
    Q = sample[:_TRIAL_QUERIES]
    k = min(_TRIAL_NEIGHBORS, len(sample))
    true = _nearest(Q, sample, k)
    found = _nearest(Q, coarse.astype(np.float32), min(2 * k, len(sample)))
    kept = np.mean([np.isin(one, other).mean() for one, other in zip(true, found, strict=True)])
    return "sq8" if kept >= _KEPT else "fp16"


def _nearest(Q: Float32Array, X: Float32Array, count: int) -> Any:
    gaps = 0.5 * np.einsum("ij,ij->i", X, X) - Q @ X.T
    return np.argpartition(gaps, count - 1, axis=1)[:, :count]
