"""What shards answer is what one index answers: distances, rows and order, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors import load
from kneighbors.sagemaker.model import Model
from kneighbors.search.metrics import METRICS
from kneighbors.shards import open_saved, open_sharded
from support import shards_making as making


@pytest.fixture(params=sorted(METRICS), scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    X = making.corpus()
    path = tmp_path_factory.mktemp("shards") / "M"
    making.write(path, X, request.param)
    return making.whole(X, request.param), path, X


def queries(X: Any) -> Any:
    random = np.random.default_rng(1)
    return np.concatenate([X[::40], random.normal(size=(10, 12)).astype(np.float32)])


def asked(X: Any) -> dict[str, dict[str, Any]]:
    n_queries = len(queries(X))
    random = np.random.default_rng(2)
    mask = random.random(len(X)) < 0.3
    few = np.zeros(len(X), bool)
    few[[3, 700, 701, 1199]] = True
    exclude = [np.array([place * 40, 7]) for place in range(n_queries)]
    exclude = [np.unique(rows[rows < len(X)]) for rows in exclude]
    return {
        "plain": {},
        "exclude": {"exclude": exclude},
        "mask": {"masks": [mask] * n_queries},
        "few": {"masks": [few] * n_queries},
        "both": {"exclude": exclude, "masks": [mask, None] * (n_queries // 2)},
    }


@pytest.mark.parametrize(
    ("how", "threads"),
    [("plain", 1), ("plain", 3), ("exclude", 1), ("mask", 1), ("few", 1), ("both", 1), ("both", 3)],
)
def test_the_nearest_are_those_of_one_index(pair: Any, threads: int, how: str) -> None:
    index, path, X = pair
    with open_sharded(path, threads=threads) as artifact:
        for k in (1, 10, 500):
            expected = index.kneighbors(queries(X), k, **asked(X)[how])
            actual = artifact.index.kneighbors(queries(X), k, **asked(X)[how])
            np.testing.assert_array_equal(expected[0], actual[0])
            np.testing.assert_array_equal(expected[1], actual[1])


@pytest.mark.parametrize("how", ["plain", "both"])
def test_all_within_a_radius_are_those_of_one_index(pair: Any, how: str) -> None:
    index, path, X = pair
    radius = float(np.median(index.kneighbors(queries(X), 30)[0][:, -1]))
    expected = index.radius_neighbors(queries(X), radius, **asked(X)[how])
    with open_sharded(path) as artifact:
        actual = artifact.index.radius_neighbors(queries(X), radius, **asked(X)[how])
    for one, other in zip((*expected[0], *expected[1]), (*actual[0], *actual[1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_equal_rows_in_several_shards_come_in_the_order_of_rows(tmp_path: Path) -> None:
    X = making.corpus()
    making.write(tmp_path / "M", X)
    with open_sharded(tmp_path / "M") as artifact:
        distances, rows = artifact.index.kneighbors(X[7:8], 4)
    assert [5, 7, 600, 1197] == rows[0].tolist()
    assert [0.0] * 4 == distances[0].tolist()


def test_shards_open_as_an_estimator_and_as_a_model(tmp_path: Path) -> None:
    X = making.corpus()
    ids = [f"w{row}" for row in range(len(X))]
    making.write(tmp_path / "M", X, ids=ids, items={"price": list(range(len(X)))})
    assert [[5, 7]] == load(tmp_path / "M").kneighbors(X[7:8], 2)[1].tolist()
    model = Model.open(tmp_path / "M")
    model.warm_up()
    body = (
        b'{"ids": ["w7"], "parameters": {"k": 2, "exclude_self": true, "exclude_ids": ["w5"], '
        b'"filter": {"price": {"gt": 10}}, "include_items": true}}'
    )
    answer = model.invoke(body, "application/json").body
    assert b'"indices":[600,1197],"ids":["w600","w1197"]' in answer
    assert b'"items":[{"price":600},{"price":1197}]' in answer
    assert model.facts["n_samples"] == "1200"


def test_ids_lead_to_rows_of_all_shards_and_back(tmp_path: Path) -> None:
    X = making.corpus()
    making.write(tmp_path / "M", X, ids=[1000 + row for row in range(len(X))])
    with open_saved(tmp_path / "M") as artifact:
        rows = artifact.catalog.rows_of([2199, 1000, 1640])
        assert [1199, 0, 640] == rows.tolist()
        assert [2199, 1000, 1640] == artifact.catalog.ids_of(rows)
        with pytest.raises(ValueError, match="Expected an id of the catalogue, got 7"):
            artifact.catalog.rows_of([7])
