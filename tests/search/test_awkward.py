"""Corpora at the edges of what there is: one row, one dimension, thousands, all rows the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import ArrayRows
from support import oracle


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 2), (3, 4096), (40, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_as_many_neighbours_as_rows_are_all_rows_in_order(
    metric: str, dtype: type, shape: tuple[int, int]
) -> None:
    random = np.random.default_rng(shape)
    X: Any = random.standard_normal(shape).astype(dtype)
    Q: Any = random.standard_normal((3, shape[1])).astype(dtype)
    distances, rows = ExactIndex.build(ArrayRows(X), metric).kneighbors(Q, len(X))
    for q, one, those in zip(Q, distances, rows, strict=True):
        assert sorted(those.tolist()) == list(range(len(X)))
        oracle.check_answer(metric, X, q, one, those, len(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_equal_rows_come_in_their_order(metric: str, dtype: type) -> None:
    X: Any = np.tile(np.array([[0.1, -0.7, 3.3]], dtype), (300, 1))
    index = ExactIndex.build(ArrayRows(X), metric)
    queries: list[Any] = [X[:1], -X[:1], np.array([[1.0, 2.0, 3.0]], dtype)]
    for q in queries:
        distances, rows = index.kneighbors(q, 20)
        assert rows.tolist() == [list(range(20))]
        assert len(set(distances[0].tolist())) == 1


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_of_two_clusters_of_duplicates_the_nearer_comes_first(metric: str) -> None:
    X = np.repeat(np.array([[1.0, 0.0], [0.0, 1.0]]), [70, 80], axis=0)[::-1].copy()
    distances, rows = ExactIndex.build(ArrayRows(X), metric).kneighbors(np.array([[1.0, 0.0]]), 100)
    assert rows[0].tolist() == [*range(80, 150), *range(30)]
    assert distances[0].tolist() == sorted(distances[0].tolist())


@pytest.mark.parametrize("spread", [0.0, 1e-7, 1e-4, 1e-2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "sqeuclidean"])
def test_a_row_is_at_no_distance_from_itself_and_never_at_less(
    metric: str, dtype: type, spread: float
) -> None:
    # Nearly parallel vectors, where subtracting products from one loses every digit in float32.
    random = np.random.default_rng(3)
    X: Any = (random.standard_normal(64) + spread * random.standard_normal((200, 64))).astype(dtype)
    distances, rows = ExactIndex.build(ArrayRows(X), metric).kneighbors(X, 5)
    assert (distances >= 0).all()
    assert distances[:, 0].max() <= 64 * np.finfo(np.float64).eps
    if spread:
        assert rows[:, 0].tolist() == list(range(200))
