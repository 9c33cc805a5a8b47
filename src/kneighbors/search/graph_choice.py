"""Which engine: the one that was asked for, or the one that measuring chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kneighbors.errors import ParameterRefused
from kneighbors.search.graph_building import (
    DEFAULT_EF_CONSTRUCTION,
    DEFAULT_M,
    build_graph,
)
from kneighbors.search.graph_opening import Index
from kneighbors.search.graph_setting import DEFAULT_CONFIDENCE, Wanted
from kneighbors.search.graph_tuning import GRAPHS, Sample, check_target, tune
from kneighbors.search.index import ExactIndex
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import FloatArray

ALGORITHMS = ("auto", "exact", "hnsw")

#: Recall that is wanted where only a time is.
_DEFAULT_RECALL = 0.99
#: Rows asked for their time, where no queries are given.
_TIMED_ROWS = 100
_BOUNDS = {"M": (2, 512), "ef_construction": (1, 10_000), "ef_search": (1, 10_000)}


@dataclass(frozen=True)
class Choice:
    """What was asked for.

    Parameters
    ----------
    algorithm : str
        ``"auto"``, ``"exact"`` or ``"hnsw"``. ``"auto"`` is exact, unless `target_recall` or
        `latency_ms` say what to look for.
    target_recall : float, optional
        Least mean recall: the cheapest setting that reaches it; with ``"auto"``, exact search is
        one of the settings.
    latency_ms : float, optional
        With ``"auto"``: exact search where the median of its queries takes no longer, else the
        fastest setting that reaches the recall.
    confidence : float, default=0.95
        With which a setting reaches the recall.
    params : mapping
        ``M``, ``ef_construction`` and ``ef_search``, where one knows them.

    Raises
    ------
    ParameterRefused
        With code ``algorithm-unknown``, ``target-recall-range``, ``latency-range``,
        ``confidence-range``, ``graph-params`` or ``parameter-conflict``.
    """

    algorithm: str = "auto"
    target_recall: float | None = None
    latency_ms: float | None = None
    confidence: float = DEFAULT_CONFIDENCE
    params: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ParameterRefused(
                "algorithm-unknown",
                f"Expected one of {', '.join(ALGORITHMS)}, got {self.algorithm!r:.60}.",
            )
        if self.target_recall is not None:
            check_target(self.target_recall)
        if self.latency_ms is not None and not 0 < self.latency_ms < np.inf:
            raise ParameterRefused(
                "latency-range", f"Expected latency_ms > 0, got {self.latency_ms}."
            )
        if not 0 < self.confidence < 1:
            raise ParameterRefused(
                "confidence-range", f"Expected 0 < confidence < 1, got {self.confidence}."
            )
        _check_params(self.params)
        self._check_company()

    def _check_company(self) -> None:
        given = [name for name in ("target_recall", "latency_ms") if getattr(self, name)]
        if self.algorithm == "exact" and (given or self.params):
            raise self._conflict("exact search has nothing to tune", [*given, *self.params])
        if self.algorithm == "hnsw" and self.latency_ms is not None:
            raise self._conflict("a latency is a goal for 'auto'", ["latency_ms"])
        if self.algorithm == "auto" and self.params and not given:
            raise self._conflict("'auto' alone is exact", list(self.params))
        if "ef_search" in self.params and given:
            raise self._conflict("ef_search is what is looked for", ["ef_search", *given])

    def _conflict(self, why: str, names: list[str]) -> ParameterRefused:
        return ParameterRefused(
            "parameter-conflict",
            f"Expected algorithm={self.algorithm!r} without {', '.join(names)}: {why}.",
        )

    def apply(
        self,
        exact: ExactIndex,
        *,
        queries: FloatArray | None = None,
        n_neighbors: int = 10,
        random_state: int = 0,
        progress: Progress = ignore,
    ) -> Index:
        """Return the index that was asked for, over an exact one.

        Parameters
        ----------
        exact : ExactIndex
        queries : ndarray of shape (n_queries, n_features), optional
            Such as users send, having passed the gate; what recall and time are measured on.
        n_neighbors : int, default=10
            Neighbours that recall and time are measured for.
        random_state : int, default=0
        progress : callable, optional

        Raises
        ------
        ParameterRefused
            As `kneighbors.search.graph_tuning.tune` raises it.
        MissingExtra
            Where a graph is to be built and faiss-cpu is not installed.
        """
        if self.algorithm == "hnsw" and self.target_recall is None:
            return build_graph(exact, **self.params, random_state=random_state, progress=progress)
        if self.algorithm == "exact" or (self.target_recall is None and self.latency_ms is None):
            return exact
        n_neighbors = min(n_neighbors, exact.n_samples)
        if self.latency_ms is not None:
            taken = _exact_ms(exact, queries, n_neighbors, random_state)
            if taken <= self.latency_ms:
                reason = f"exact search takes {taken:.3g} ms, the goal is {self.latency_ms:g} ms"
                exact.plan = {**exact.plan, "choice": reason}
                return exact
        wanted = Wanted(self.target_recall or _DEFAULT_RECALL, self.confidence, n_neighbors)
        found = tune(
            exact,
            wanted,
            queries=queries,
            with_exact=self.algorithm == "auto",
            graphs=self._graphs(),
            random_state=random_state,
            progress=progress,
        )
        if self.latency_ms is not None:
            found.plan["choice"] = (
                f"exact search takes {taken:.3g} ms, more than the goal of {self.latency_ms:g} ms"
            )
        return found

    def _graphs(self) -> list[tuple[int, int]]:
        if not self.params:
            return list(GRAPHS)
        links = self.params.get("M", DEFAULT_M)
        return [(links, self.params.get("ef_construction", DEFAULT_EF_CONSTRUCTION))]


def _check_params(params: Mapping[str, Any]) -> None:
    for name, value in params.items():
        if name not in _BOUNDS:
            raise ParameterRefused(
                "graph-params", f"Expected {', '.join(_BOUNDS)}, got {name!r:.60}."
            )
        low, high = _BOUNDS[name]
        is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not is_integer or not low <= value <= high:
            raise ParameterRefused(
                "graph-params", f"Expected {name} from {low} to {high}, got {value!r:.60}."
            )


def _exact_ms(
    exact: ExactIndex, queries: FloatArray | None, n_neighbors: int, random_state: int
) -> float:
    if queries is None:
        random = np.random.default_rng(random_state)
        count = min(_TIMED_ROWS, exact.n_samples)
        chosen = random.choice(exact.n_samples, count, replace=False)
        queries = exact.rows.take(chosen.astype(np.int64))
    return Sample(exact, queries[:_TIMED_ROWS], n_neighbors).exact_ms
