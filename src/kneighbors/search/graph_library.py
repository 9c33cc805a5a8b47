"""FAISS, imported where it is used, and the few calls of it that are used."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np

from kneighbors.errors import missing_extra
from kneighbors.search.graph_stream import QUANTIZERS, Bytes
from kneighbors.search.rounding import Float32Array
from kneighbors.search.rows import RowArray


@cache
def library() -> Any:
    """Return the module `faiss`.

    Raises
    ------
    MissingExtra
    """
    try:
        import faiss
    except ModuleNotFoundError:
        raise missing_extra("faiss-cpu", "approximate") from None
    # The runtime of its threads does not outlive a fork: a child that asked for more than one
    # would wait for ever for those of its parent.
    os.register_at_fork(after_in_child=_stay_alone)
    return faiss


def _stay_alone() -> None:
    library().omp_set_num_threads(1)


class Builder:
    """A graph that grows.

    Parameters
    ----------
    width : int
        Elements of a vector.
    codes : str
        A key of `QUANTIZERS`: how vectors are kept.
    links, ef_construction : int
        HNSW's M and efConstruction.
    """

    def __init__(self, width: int, codes: str, links: int, ef_construction: int) -> None:
        faiss = library()
        number, _ = QUANTIZERS[codes]
        self.graph: Any = faiss.IndexHNSWSQ(width, number, links, faiss.METRIC_L2)
        self.graph.hnsw.efConstruction = ef_construction

    def train(self, sample: Float32Array) -> None:
        """Learn the range of the codes."""
        self.graph.train(sample)

    def add(self, vectors: Float32Array) -> None:
        """Add nodes, with all threads."""
        self.graph.add(vectors)

    def stream(self) -> Bytes:
        """Return the graph as bytes."""
        stream: Bytes = library().serialize_index(self.graph)
        return stream


class Searcher:
    """A graph ready to be asked; safe to use from several threads.

    Parameters
    ----------
    stream : ndarray of uint8
        Checked; kept, for the graph works on it.
    ef_search : int
        HNSW's efSearch.
    """

    def __init__(self, stream: Bytes, ef_search: int) -> None:
        faiss = library()
        self._stream = stream
        self._pointer = faiss.swig_ptr
        self._reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(stream), stream.size)
        self._graph: Any = faiss.read_index(self._reader)
        self._graph.hnsw.efSearch = ef_search

    def search(self, Q: Float32Array, count: int) -> RowArray:
        """Return the nodes that seem nearest, of shape (n_queries, count); -1 is none."""
        distances = np.empty((len(Q), count), np.float32)
        nodes = np.empty((len(Q), count), np.int64)
        pointer = self._pointer
        self._graph.search_c(len(Q), pointer(Q), count, pointer(distances), pointer(nodes))
        return nodes

    def widen(self, ef_search: int) -> None:
        """Search with another `ef_search` from now on; not while others search."""
        self._graph.hnsw.efSearch = ef_search
