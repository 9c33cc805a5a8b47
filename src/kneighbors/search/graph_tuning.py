"""Finding the cheapest setting that reaches a recall: measured, with confidence.

A setting passes if the mean recall of queries like the sample's is at least the target, with the
confidence asked for (`graph_confidence`). Many settings are looked at, and one that passes by luck
must not be chosen because many were tried. So the settings of one graph are tested from the widest
search to the narrowest, and at the first one that fails the testing ends: then the chance that any
wrong one passed is that of a single test (fixed-sequence testing; A. Angelopoulos et al., "Learn
then Test", 2021, use it for such choices). Several graphs share what may go wrong between them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ParameterRefused
from kneighbors.search.graph import GraphIndex
from kneighbors.search.graph_building import GraphDraft
from kneighbors.search.graph_confidence import fewest_queries, lower_bound
from kneighbors.search.graph_recall import recalls_by_distance, recalls_by_id
from kneighbors.search.graph_setting import Setting, Wanted
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import Float64Array
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import FloatArray

#: Widths of a search that are tried.
EF_SEARCHES = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
#: Graphs that are built and tried: M and ef_construction.
GRAPHS = ((16, 100), (32, 100))
#: Rows held out where no queries are given, and of how many rows at most one is.
_HELD_OUT = 1000
_SPARED = 5
#: Queries asked alone for their time.
_TIMED = 100
_MOST_QUERIES = 256


class Sample:
    """Queries with their true neighbours.

    Parameters
    ----------
    exact : ExactIndex
        Gives the truth.
    Q : ndarray of shape (n_queries, n_features)
        Having passed the gate.
    n_neighbors : int
    mask : ndarray of shape (n_samples,), dtype bool, optional
        Rows that may be answers.
    """

    def __init__(
        self,
        exact: ExactIndex,
        Q: FloatArray,
        n_neighbors: int,
        mask: NDArray[np.bool_] | None = None,
        exclude: list[Any] | None = None,
    ) -> None:
        self.Q = Q
        self.n_neighbors = n_neighbors
        self.exclude = exclude
        masks = None if mask is None else [mask] * len(Q)
        self.true = exact.kneighbors(Q, n_neighbors, exclude=exclude, masks=masks)
        self.exact_ms = self.time(exact)

    def time(self, index: ExactIndex | GraphIndex) -> float:
        """Return the median time of queries asked alone, in milliseconds."""
        index.warm_up()
        times = []
        for query in range(min(_TIMED, len(self.Q))):
            part = self.Q[query : query + 1]
            exclude = None if self.exclude is None else self.exclude[query : query + 1]
            began = time.perf_counter()
            index.kneighbors(part, self.n_neighbors, exclude=exclude)
            times.append(time.perf_counter() - began)
        return float(np.median(times)) * 1e3

    def recalls(self, index: GraphIndex) -> tuple[Float64Array, Float64Array]:
        """Return the recall of each query, by distance and by id."""
        found = [
            index.kneighbors(
                self.Q[start : start + _MOST_QUERIES],
                self.n_neighbors,
                exclude=self.exclude and self.exclude[start : start + _MOST_QUERIES],
            )
            for start in range(0, len(self.Q), _MOST_QUERIES)
        ]
        distances = np.concatenate([one[0] for one in found])
        rows = np.concatenate([one[1] for one in found])
        return recalls_by_distance(distances, self.true[0]), recalls_by_id(rows, self.true[1])

    def exact_setting(self) -> Setting:
        """Return what exact search comes to."""
        return Setting("exact", None, None, None, 1.0, 1.0, 1.0, 1.0, self.exact_ms, True)


def settings_of(
    index: GraphIndex, sample: Sample, wanted: Wanted, n_graphs: int = 1
) -> list[Setting]:
    """Try searches of several widths on one graph, the widest first.

    Leaves the index as wide as the last one tried.
    """
    confidence = 1 - (1 - wanted.confidence) / n_graphs
    out = []
    passes = True
    for ef_search in reversed(_widths(index.n_samples)):
        index.widen(ef_search)
        by_distance, by_id = sample.recalls(index)
        low = lower_bound(by_distance, confidence)
        passes = passes and low >= wanted.target_recall
        out.append(
            Setting(
                "hnsw",
                int(index.plan["M"]),
                int(index.plan["ef_construction"]),
                ef_search,
                float(by_distance.mean()),
                float(by_id.mean()),
                low,
                float(np.quantile(by_distance, 0.05, method="inverted_cdf")),
                sample.time(index),
                passes,
            )
        )
    return out


def _widths(n_samples: int) -> list[int]:
    # Wider ones are answered exactly.
    return [width for width in EF_SEARCHES if width * 16 <= n_samples] or [EF_SEARCHES[0]]


def check_target(target_recall: object) -> float:
    """Return `target_recall` as a number above 0 and up to 1, or refuse it.

    Raises
    ------
    ParameterRefused
        With code ``target-recall-range``.

    Examples
    --------
    >>> check_target(0.99)
    0.99
    """
    is_number = isinstance(target_recall, int | float) and not isinstance(target_recall, bool)
    if not is_number or not 0 < target_recall <= 1:  # type: ignore[operator]
        raise ParameterRefused(
            "target-recall-range", f"Expected 0 < target_recall <= 1, got {target_recall!r:.60}."
        )
    return float(target_recall)  # type: ignore[arg-type]


def tune(
    exact: ExactIndex,
    wanted: Wanted,
    *,
    queries: FloatArray | None = None,
    with_exact: bool = True,
    graphs: Sequence[tuple[int, int]] = GRAPHS,
    random_state: int = 0,
    progress: Progress = ignore,
) -> ExactIndex | GraphIndex:
    """Return the cheapest index that reaches a recall.

    Parameters
    ----------
    exact : ExactIndex
        Of the corpus.
    wanted : Wanted
        The target.
    queries : ndarray of shape (n_queries, n_features), optional
        Such as users send, having passed the gate. By default 1,000 rows, or a fifth of them, that
        are left out of the graph until it has been measured.
    with_exact : bool, default=True
        Whether exact search may be chosen.
    graphs : sequence of (int, int)
        M and ef_construction of the graphs to build.
    random_state : int, default=0
    progress : callable, optional

    Returns
    -------
    ExactIndex or GraphIndex
        Its plan says under ``tuning`` what was tried and what it came to.

    Raises
    ------
    ParameterRefused
        With code ``recall-sample`` where there are too few queries to show the recall with the
        confidence asked for, and ``recall-unreachable`` where no setting reaches it.
    MissingExtra
        Where faiss-cpu is not installed.
    """
    n_held_out = 0 if queries is not None else _n_held_out(exact.n_samples, wanted, len(graphs))
    n_queries = n_held_out if queries is None else len(queries)
    too_few = _too_few(wanted, len(graphs), n_queries)
    if too_few is not None:
        if with_exact:
            return _kept_exact(exact, wanted, n_queries, too_few.message)
        raise too_few
    sample: Sample | None = None
    settings: list[Setting] = []
    drafts = []
    for links, ef_construction in graphs:
        draft = GraphDraft(exact, links, ef_construction, random_state)
        n_nodes = exact.n_samples - n_held_out
        draft.add_until(n_nodes, progress)
        if sample is None:
            sample = _sample(exact, draft, queries, n_nodes, wanted.n_neighbors)
        index = draft.index(1, "being measured")
        settings += settings_of(index, sample, wanted, len(graphs))
        drafts.append(draft)
    assert sample is not None  # noqa: S101  there is at least one graph
    if with_exact:
        settings.append(sample.exact_setting())
    passing = [one for one in settings if one.passes]
    if not passing:
        raise _unreachable(settings, wanted, n_queries)
    best = _cheapest(passing)
    reason = (
        f"the cheapest of {len(settings)} settings that reach a recall of "
        f"{wanted.target_recall:g} with {wanted.confidence:.0%} confidence"
    )
    tuning = {
        "target_recall": wanted.target_recall,
        "confidence": wanted.confidence,
        "n_neighbors": wanted.n_neighbors,
        "n_queries": n_queries,
        "queries": "given" if queries is not None else "held out",
        "exact_ms": sample.exact_ms,
        "chosen": settings.index(best),
        "settings": [asdict(one) for one in settings],
    }
    if best.ef_search is None:
        exact.plan = {**exact.plan, "tuning": {**tuning, "reason": reason}}
        return exact
    place = list(graphs).index((best.M or 0, best.ef_construction or 0))
    found = drafts[place].finish(best.ef_search, reason, progress)
    found.plan["tuning"] = tuning
    return found


def _cheapest(passing: list[Setting]) -> Setting:
    """Return the fastest; of one graph the narrowest search, whatever its time looked like."""
    narrowest = {(one.M, one.ef_construction): one for one in passing}
    return min(narrowest.values(), key=lambda one: one.query_ms)


def _n_held_out(n_samples: int, wanted: Wanted, n_graphs: int) -> int:
    needed = 0
    if wanted.target_recall < 1:
        needed = fewest_queries(wanted.target_recall, 1 - (1 - wanted.confidence) / n_graphs)
    return min(max(_HELD_OUT, 2 * needed), n_samples // _SPARED)


def _too_few(wanted: Wanted, n_graphs: int, n_queries: int) -> ParameterRefused | None:
    if wanted.target_recall >= 1:
        return ParameterRefused(
            "recall-unreachable",
            "Expected a target_recall below 1: no sample of queries can show that an approximate "
            "search never misses.",
            hint="Use exact search, which has a recall of 1.",
        )
    needed = fewest_queries(wanted.target_recall, 1 - (1 - wanted.confidence) / n_graphs)
    if n_queries >= needed:
        return None
    return ParameterRefused(
        "recall-sample",
        f"Expected at least {needed} sample queries to show a recall of {wanted.target_recall:g} "
        f"with {wanted.confidence:.0%} confidence, got {n_queries}.",
        hint="Give more queries, or ask for less recall.",
    )


def _kept_exact(exact: ExactIndex, wanted: Wanted, n_queries: int, reason: str) -> ExactIndex:
    tuning = {
        "target_recall": wanted.target_recall,
        "confidence": wanted.confidence,
        "n_neighbors": wanted.n_neighbors,
        "n_queries": n_queries,
        "settings": [],
        "reason": f"exact, since nothing else can be shown to reach it: {reason}",
    }
    exact.plan = {**exact.plan, "tuning": tuning}
    return exact


def _sample(
    exact: ExactIndex,
    draft: GraphDraft,
    queries: FloatArray | None,
    n_nodes: int,
    n_neighbors: int,
) -> Sample:
    if queries is not None:
        return Sample(exact, queries, min(n_neighbors, n_nodes))
    held_out = draft.order[n_nodes:].astype(np.int64)
    mask = np.ones(exact.n_samples, np.bool_)
    mask[held_out] = False
    return Sample(exact, exact.rows.take(held_out), min(n_neighbors, n_nodes), mask)


def _unreachable(settings: list[Setting], wanted: Wanted, n_queries: int) -> ParameterRefused:
    best = max(settings, key=lambda one: (one.low, one.recall))
    return ParameterRefused(
        "recall-unreachable",
        f"Expected a setting with a recall of {wanted.target_recall:g} with "
        f"{wanted.confidence:.0%} confidence on {n_queries} queries; the best, M {best.M}, "
        f"ef_construction {best.ef_construction}, ef_search {best.ef_search}, has "
        f"{best.recall:.4f} and can be relied upon for {best.low:.4f}.",
        hint="Ask for less, give more queries, or use exact search.",
    )
