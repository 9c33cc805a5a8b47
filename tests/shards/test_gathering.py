"""Which shards are asked, and what is known of them without asking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import ArrayRows
from kneighbors.shards import Ball, open_sharded
from kneighbors.shards.gathering import Gathering
from support import shards_making as making


@pytest.mark.parametrize("metric", sorted(METRICS))
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([1e-6, 1.0, 1e6]))
def test_no_row_of_a_ball_is_nearer_than_it_says(metric: str, seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    X = random.normal(size=(20, 5)) * spread + random.normal(size=5)
    Q = np.concatenate([X[:3], random.normal(size=(5, 5)) * 10])
    least = Ball.around(ArrayRows(X), metric).least_distances(Q, metric)
    prepared = METRICS[metric].prepare(Q)
    for query, bound in zip(prepared, least, strict=True):
        distances = METRICS[metric].distances(X, np.tile(query, (len(X), 1)))
        assert bound <= distances.min()


def test_a_ball_survives_its_journey_through_json() -> None:
    ball = Ball.around(ArrayRows(making.corpus()), "cosine")
    back = Ball.from_fields(ball.fields(), 12)
    assert (ball.centre.tolist(), ball.radius) == (back.centre.tolist(), back.radius)


def gathering(path: Path, Q: Any, **options: Any) -> tuple[Gathering, Any]:
    artifact = open_sharded(path)
    index: Any = artifact.index
    return Gathering(index.shards, index.executor, "euclidean", Q, **options), artifact


def test_shards_that_are_too_far_away_are_not_asked(tmp_path: Path) -> None:
    X = making.corpus()
    X += (np.arange(1200) // 240)[:, np.newaxis] * np.float32(100)
    making.write(tmp_path / "M", X)
    search, artifact = gathering(tmp_path / "M", X[100:102])
    with artifact:
        search.nearest(5)
    assert 2 * 4 == search.n_skipped


def test_shards_of_which_a_mask_leaves_nothing_are_not_asked(tmp_path: Path) -> None:
    X = making.corpus()
    making.write(tmp_path / "M", X)
    mask = np.zeros(1200, bool)
    mask[:300] = True
    search, artifact = gathering(tmp_path / "M", X[:2], masks=[mask, None])
    with artifact:
        search.nearest(1100)
    assert 3 == search.n_skipped


def test_rows_beyond_a_limit_may_be_missing_and_those_within_are_not() -> None:
    X = making.corpus()
    index = making.whole(X)
    expected, rows = index.kneighbors(X[:50], 10)
    limits = expected[:, 4].copy()
    distances, found = index.kneighbors(X[:50], 10, limits=limits)
    for query in range(50):
        near = expected[query] <= limits[query]
        assert rows[query][near].tolist() == found[query][: near.sum()].tolist()
        assert expected[query][near].tolist() == distances[query][: near.sum()].tolist()
