"""Masks of rows: answers are those of brute force over the rows that each query may have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kneighbors.search.gate import check_corpus, check_queries
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import ArrayRows
from support import problems


def expected_of(
    metric: str, X: Any, q: Any, allowed: Any, k: int, radius: float
) -> tuple[Any, Any, Any, Any]:
    """Return distances and rows of the k nearest, then of those within a radius."""
    rule = METRICS[metric]
    every = rule.distances(X, np.repeat(rule.prepare(q[np.newaxis]), len(X), axis=0))
    order = np.lexsort((np.arange(len(X)), every))
    order = order[allowed[order]]
    near = order[every[order] <= radius]
    distances, rows = np.full(k, np.inf), np.full(k, -1)
    distances[: len(order)], rows[: len(order)] = every[order[:k]], order[:k]
    return distances, rows, every[near], near


def masks_for(n: int, n_queries: int, random: np.random.Generator) -> list[Any]:
    """Return masks of every density, some shared, for some queries none."""
    shares = [0.0, 1 / n, 4 / n, 0.02, 0.5, 0.99, 1.0]
    kept: list[Any] = [random.random(n) < share for share in shares]
    kept.append(None)
    return [kept[i] for i in random.integers(len(kept), size=n_queries)]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_only_rows_that_a_mask_allows_are_answers(
    metric: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng([seed, 13])
    kind = problems.KINDS[seed % len(problems.KINDS)]
    n, d, n_queries = int(random.integers(1, 1500)), int(random.integers(1, 60)), 12
    X = check_corpus(problems.corpus(kind, n, d, np.float32, random), metric)
    Q = check_queries(problems.queries(X, n_queries, metric, random), d, metric)
    if seed % 2:
        monkeypatch.setattr("kneighbors.search.planner._SMALL", 0)
        monkeypatch.setattr("kneighbors.search.permitted._SCORED_SHARE", 1 << 20)
    index = ExactIndex.build(ArrayRows(X), metric)
    masks = masks_for(n, n_queries, random)
    exclude = [random.integers(n, size=random.integers(4)) for _ in range(n_queries)]
    k = int(random.integers(1, min(n, 30) + 1))
    radius = float(index.kneighbors(Q[:1], k)[0][0, -1])
    with_rows = None if seed % 3 == 0 else exclude
    distances, rows = index.kneighbors(Q, k, exclude=with_rows, masks=masks)
    near_distances, near_rows = index.radius_neighbors(Q, radius, exclude=with_rows, masks=masks)
    for i, mask in enumerate(masks):
        allowed = np.ones(n, bool) if mask is None else mask.copy()
        if with_rows is not None:
            allowed[with_rows[i]] = False
        found = distances[i], rows[i], near_distances[i], near_rows[i]
        wanted = expected_of(metric, X, Q[i], allowed, k, radius)
        for expected, got in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_mask_that_allows_nothing_leaves_all_places_empty() -> None:
    X = np.arange(6.0).reshape(3, 2)
    index = ExactIndex.build(ArrayRows(X), "euclidean")
    nothing = np.zeros(3, bool)
    distances, rows = index.kneighbors(X[:1], 2, masks=[nothing])
    assert distances.tolist() == [[np.inf, np.inf]]
    assert rows.tolist() == [[-1, -1]]
    found = index.radius_neighbors(X[:1], 100.0, masks=[nothing])
    assert [part[0].tolist() for part in found] == [[], []]


def test_where_few_rows_are_allowed_no_others_are_touched() -> None:
    X = np.random.default_rng(0).standard_normal((20_000, 8))
    touched: list[int] = []

    class Watched(ArrayRows):
        def take(self, rows: Any) -> Any:
            touched.extend(rows.tolist())
            return super().take(rows)

    rows = Watched(X)
    index = ExactIndex.build(rows, "euclidean")
    touched.clear()
    few = np.zeros(len(X), bool)
    few[[7, 11, 13]] = True
    found = index.kneighbors(X[11:12], 2, masks=[few])[1]
    assert found[0, 0] == 11
    assert touched == [7, 11, 13]
