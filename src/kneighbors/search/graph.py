"""The approximate index: candidates from a graph, answers from the original vectors.

The graph is FAISS's HNSW (Y. Malkov and D. Yashunin, "Efficient and robust approximate nearest
neighbor search using hierarchical navigable small world graphs", IEEE TPAMI 42, 2020), over codes
of one or two bytes an element. It only names candidates, more than are asked for; their distances
are computed in float64 from the original vectors, as every distance here, and they are sorted by
distance, then row. So what is approximate is which rows are found, never how far they are.

Whatever a graph is not made for is answered by the exact index that lies beneath: radius queries,
masks that leave few rows, queries that are far out, more neighbours than the graph finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArtifactError
from kneighbors.search.graph_library import Searcher
from kneighbors.search.graph_space import GraphSpace
from kneighbors.search.graph_stream import (
    HEADER_BYTES,
    QUANTIZERS,
    Bytes,
    Expected,
    check_origin,
    check_stream,
    with_header,
)
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import METRICS, Float64Array
from kneighbors.search.parts import part_of
from kneighbors.search.permitted import Excluded, Masks
from kneighbors.search.rounding import Float32Array
from kneighbors.search.rows import FloatArray, RowArray

ENGINE = "hnsw"

#: Candidates of a query, for each neighbour and beside them: codes are coarse, and the right row
#: may stand a few places too low.
_FETCHED_SHARE = 1.25
_FETCHED_MORE = 4
#: Where a search would come by one row in so many, an exact one costs no more.
_WORTH_A_GRAPH = 16
#: A mask that leaves less than this share of the rows is answered exactly.
_LEAST_SHARE = 0.25
#: Float64 elements of candidates held at a time.
_PAIR_ELEMENTS = 1 << 18


class GraphIndex:
    """Nearest neighbours of a corpus, nearly all of them.

    Built by `kneighbors.search.graph_building.build_graph` or opened by `from_parts`; immutable;
    safe to use from several threads.

    Parameters
    ----------
    exact : ExactIndex
        Answers what the graph cannot, and holds the rows.
    space : GraphSpace
    stream : ndarray of uint8
        The graph, checked.
    order : ndarray of shape (n_samples,), dtype int32
        The row of each node.
    plan : dict
        What was decided at fit, and why.
    """

    is_exact = False

    def __init__(
        self,
        exact: ExactIndex,
        space: GraphSpace,
        stream: Bytes,
        order: NDArray[np.int32],
        plan: Mapping[str, Any],
    ) -> None:
        self.exact = exact
        self.rows = exact.rows
        self.metric = exact.metric
        self.plan: dict[str, Any] = dict(plan)
        self.space = space
        self.order = order
        self.stream = stream
        self.ef_search = int(plan["ef_search"])
        self.searcher = Searcher(stream, self.ef_search)

    @classmethod
    def from_parts(
        cls,
        exact: ExactIndex,
        parts: Mapping[str, NDArray[Any]],
        plan: Mapping[str, Any],
        origin: str = "",
    ) -> GraphIndex:
        """Put together what `parts` and `plan` gave.

        Parameters
        ----------
        exact : ExactIndex
            Of the same rows.
        parts, plan : mapping
        origin : str
            SHA-256 of the vectors' file that the rows come from; empty where they are in memory.

        Raises
        ------
        ArtifactError
            With code ``graph-mismatch`` where the graph is that of other vectors, and
            ``artifact-invalid`` where anything else does not fit.
        MissingExtra
            Where faiss-cpu is not installed.
        """
        n_samples, n_features = exact.rows.shape
        centre = part_of(parts, "graph-centre", np.float64, (n_features,))
        space = GraphSpace(exact.metric, int(plan["exponent"]), centre)
        order = part_of(parts, "graph-order", np.int32, (n_samples,))
        if order.min() < 0 or not (np.bincount(order, minlength=n_samples) == 1).all():
            raise ArtifactError("artifact-invalid", "Expected each row once in 'graph-order'.")
        if plan["codes"] not in QUANTIZERS or not 1 <= int(plan["ef_search"]) <= 1 << 20:
            raise ArtifactError("artifact-invalid", "Expected the codes and ef_search of a graph.")
        if "graph" not in parts or parts["graph"].dtype != np.uint8 or parts["graph"].ndim != 1:
            raise ArtifactError("artifact-invalid", "Expected a part 'graph' of bytes.")
        check_origin(parts["graph"], origin)
        stream = parts["graph"][HEADER_BYTES:]
        check_stream(stream, Expected(n_samples, space.width, plan["codes"], int(plan["M"])))
        return cls(exact, space, stream, order, plan)

    def parts(self, origin: str = "") -> dict[str, NDArray[Any]]:
        """Return the arrays that, with the original vectors and the plan, are the index.

        Parameters
        ----------
        origin : str
            SHA-256 of the vectors' file, which the graph is bound to; empty binds it to none.
        """
        return {
            **self.exact.parts(),
            "graph": with_header(self.stream, origin),
            "graph-order": self.order,
            "graph-centre": self.space.centre,
        }

    @property
    def n_samples(self) -> int:
        """Number of rows of the corpus."""
        return self.rows.shape[0]

    @property
    def n_features(self) -> int:
        """Width of the corpus."""
        return self.rows.shape[1]

    def warm_up(self) -> None:
        """Answer one query by the graph and one by the index beneath."""
        self.exact.warm_up()
        self.kneighbors(self.rows.take(np.zeros(1, np.int64)), 1)

    def widen(self, ef_search: int) -> None:
        """Search with another `ef_search` from now on; not while others search."""
        self.ef_search = ef_search
        self.plan["ef_search"] = ef_search
        self.searcher.widen(ef_search)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["searcher"]
        state["stream"] = np.array(self.stream)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        # `widen` of a copy leaves the other as it is.
        self.__dict__.update(state, plan=dict(state["plan"]))
        self.searcher = Searcher(self.stream, self.ef_search)

    def kneighbors(
        self,
        Q: FloatArray,
        n_neighbors: int,
        *,
        exclude: Excluded | None = None,
        masks: Masks | None = None,
    ) -> tuple[Float64Array, RowArray]:
        """Return the nearest rows of each query, nearly all of them.

        As `ExactIndex.kneighbors`, whose parameters and results it has. No query gets fewer rows
        than it would there: one whose candidates do not suffice is answered exactly.

        Notes
        -----
        O(ef_search * M) rows are compared in the graph, and some 1.25 * n_neighbors + 4 in float64.
        """
        if len(Q) == 1 and masks is None:
            return self._one(Q, n_neighbors, exclude)
        distances = np.empty((len(Q), n_neighbors))
        indices = np.empty((len(Q), n_neighbors), np.int64)
        prepared = METRICS[self.metric].prepare(Q)
        placed, fit = self.space.queries(prepared)
        counts = self._counts(len(Q), n_neighbors, exclude, masks)
        counts[~fit] = 0
        left = np.flatnonzero(counts == 0)
        for count in np.unique(counts[counts > 0]):
            some = np.flatnonzero(counts == count)
            allowed = _Allowed(some, exclude, masks)
            some_placed = placed if len(some) == len(Q) else placed[some]
            found = self._ask(some_placed, prepared[some], int(count), n_neighbors, allowed)
            distances[some], indices[some] = found
            short = some[indices[some, -1] < 0]
            left = np.concatenate([left, short]) if len(short) else left
        if len(left):
            distances[left], indices[left] = self.exact.kneighbors(
                Q[left],
                n_neighbors,
                exclude=None if exclude is None else [exclude[int(query)] for query in left],
                masks=None if masks is None else [masks[int(query)] for query in left],
            )
        return distances, indices

    def _one(
        self, Q: FloatArray, n_neighbors: int, exclude: Excluded | None
    ) -> tuple[Float64Array, RowArray]:
        """Answer a single query, at a tenth of what the general way takes beside the search."""
        metric = METRICS[self.metric]
        count = int(_FETCHED_SHARE * n_neighbors) + _FETCHED_MORE
        excluded = None if exclude is None or not len(exclude[0]) else exclude[0]
        if excluded is not None:
            count += len(excluded)
        if max(count, self.ef_search) * _WORTH_A_GRAPH <= self.n_samples:
            prepared = metric.prepare(Q)
            placed, fit = self.space.queries(prepared)
            nodes = self.searcher.search(placed, count)[0]
            if fit[0] and nodes[-1] >= 0:
                rows = self.order[nodes].astype(np.int64)
                if excluded is not None:
                    rows = rows[~np.isin(rows, excluded)]
                distances = metric.distances(self.rows.take(rows), prepared)
                best = np.lexsort((rows, distances))[:n_neighbors]
                if len(best) == n_neighbors:
                    return distances[best][np.newaxis], rows[best][np.newaxis]
        return self.exact.kneighbors(Q, n_neighbors, exclude=exclude)

    def radius_neighbors(
        self,
        Q: FloatArray,
        radius: float,
        *,
        exclude: Excluded | None = None,
        masks: Masks | None = None,
    ) -> tuple[list[Float64Array], list[RowArray]]:
        """Return all rows within `radius` of each query: exactly, by the index beneath."""
        return self.exact.radius_neighbors(Q, radius, exclude=exclude, masks=masks)

    def _counts(
        self, n_queries: int, n_neighbors: int, exclude: Excluded | None, masks: Masks | None
    ) -> NDArray[np.int64]:
        """Return how many candidates each query needs; 0 where exact search is the better way."""
        counts = np.full(n_queries, int(_FETCHED_SHARE * n_neighbors) + _FETCHED_MORE, np.int64)
        if exclude is not None:
            counts += [len(rows) for rows in exclude]
        if masks is not None:
            shares: dict[int, float] = {}
            for query, mask in enumerate(masks):
                if mask is None:
                    continue
                if id(mask) not in shares:
                    shares[id(mask)] = float(np.count_nonzero(mask)) / self.n_samples
                share = shares[id(mask)]
                counts[query] = int(1.5 * counts[query] / share) if share >= _LEAST_SHARE else 0
        counts[np.maximum(counts, self.ef_search) * _WORTH_A_GRAPH > self.n_samples] = 0
        return counts

    def _ask(
        self,
        placed: Float32Array,
        prepared: Float64Array,
        count: int,
        n_neighbors: int,
        allowed: _Allowed,
    ) -> tuple[Float64Array, RowArray]:
        nodes = self.searcher.search(placed, count)
        rows = np.asarray(self.order[nodes], dtype=np.int64)
        # None was found: -1, which is also where the order's last row would be.
        hidden = nodes < 0
        allowed.hide(rows, hidden)
        distances = self._distances(rows, prepared)
        if hidden.any():
            distances[hidden], rows[hidden] = np.inf, -1
        best = np.lexsort((rows, distances), axis=1)[:, :n_neighbors]
        return np.take_along_axis(distances, best, 1), np.take_along_axis(rows, best, 1)

    def _distances(self, rows: RowArray, prepared: Float64Array) -> Float64Array:
        metric = METRICS[self.metric]
        out = np.empty(rows.shape)
        step = max(1, _PAIR_ELEMENTS // (rows.shape[1] * self.n_features))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            Q = np.repeat(prepared[start : start + step], rows.shape[1], axis=0)
            found = metric.distances(self.rows.take(part.ravel()), Q)
            out[start : start + step] = found.reshape(part.shape)
        return out


class _Allowed:
    """Which candidates of some queries may be answers."""

    def __init__(
        self, queries: NDArray[np.intp], exclude: Excluded | None, masks: Masks | None
    ) -> None:
        self._exclude = None if exclude is None else [exclude[int(query)] for query in queries]
        self._masks = None if masks is None else [masks[int(query)] for query in queries]

    def hide(self, rows: RowArray, hidden: NDArray[np.bool_]) -> None:
        """Mark the candidates that may not."""
        for query, excluded in enumerate(self._exclude or ()):
            if len(excluded):
                hidden[query] |= np.isin(rows[query], excluded)
        for query, mask in enumerate(self._masks or ()):
            if mask is not None:
                hidden[query] |= ~mask[rows[query]]
