"""The estimators with a graph beneath."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

from kneighbors import KNeighborsTransformer, NearestNeighbors, load
from kneighbors.errors import ParameterRefused
from support.graphs import embeddings

X = embeddings(1500)
SMALL = {"M": 8, "ef_construction": 40}


@pytest.mark.parametrize("algorithm", ["hnsw", "exact"])
@pytest.mark.parametrize("estimator", [NearestNeighbors, KNeighborsTransformer])
def test_every_common_check_passes(estimator: Any, algorithm: str) -> None:
    checked = 0
    for instance, check in estimator_checks_generator(estimator(algorithm=algorithm)):
        if check.func.__name__ == "check_array_api_input":
            continue  # raises SkipTest unless scipy was imported with array API support
        check(instance)
        checked += 1
    assert checked >= 39


def test_hnsw_finds_nearly_what_exact_search_finds() -> None:
    near = NearestNeighbors(algorithm="hnsw", metric="cosine", algorithm_params=SMALL).fit(X)
    assert not near.index_.is_exact
    distances, indices = near.kneighbors(X[:100])
    assert (indices[:, 0] == np.arange(100)).mean() > 0.9
    exact = NearestNeighbors(metric="cosine").fit(X).kneighbors(X[:100])
    assert np.mean(distances == exact[0]) > 0.9


def test_a_corpus_that_asks_itself_leaves_each_row_out() -> None:
    indices = NearestNeighbors(algorithm="hnsw", algorithm_params=SMALL).fit(X).kneighbors()[1]
    assert not (indices == np.arange(1500)[:, np.newaxis]).any()


def test_parameters_are_cloned_and_reach_the_graph() -> None:
    near = clone(NearestNeighbors(algorithm="hnsw", algorithm_params={**SMALL, "ef_search": 33}))
    assert near.fit(X).index_.plan["ef_search"] == 33


def test_a_target_recall_is_measured_on_the_queries_given() -> None:
    near = NearestNeighbors(algorithm="hnsw", target_recall=0.9, algorithm_params=SMALL)
    near.fit(X, queries=embeddings(150, seed=3))
    assert near.index_.plan["tuning"]["n_queries"] == 150


def test_a_saved_graph_is_loaded_as_one(tmp_path: Path) -> None:
    near = NearestNeighbors(algorithm="hnsw", algorithm_params=SMALL).fit(X)
    near.save(tmp_path / "M")
    again = load(tmp_path / "M")
    assert again.algorithm == "hnsw"
    assert np.array_equal(again.kneighbors(X[:20])[1], near.kneighbors(X[:20])[1])
    pickled = pickle.loads(pickle.dumps(again))
    assert np.array_equal(pickled.kneighbors(X[:20])[1], near.kneighbors(X[:20])[1])


def test_the_transformer_makes_a_graph_of_what_it_finds() -> None:
    edges = KNeighborsTransformer(algorithm="hnsw", n_neighbors=4, algorithm_params=SMALL)
    assert edges.fit_transform(X).nnz == 1500 * 5


@pytest.mark.parametrize(
    "parameters",
    [
        {"algorithm": "hnsw", "metric": "manhattan"},
        {"target_recall": 0.9, "metric": "manhattan"},
        {"latency_ms": 5.0, "metric": "manhattan"},
    ],
    ids=str,
)
def test_what_scikit_learn_answers_has_no_graph(parameters: dict[str, Any]) -> None:
    with pytest.raises(ParameterRefused) as caught:
        NearestNeighbors(**parameters).fit(X)
    assert caught.value.code == "algorithm-metric"


def test_exact_is_a_name_for_what_scikit_learn_answers_too() -> None:
    near = NearestNeighbors(algorithm="exact", metric="manhattan").fit(X)
    assert near.algorithm == "exact"
    expected = NearestNeighbors(algorithm="brute", metric="manhattan").fit(X)
    assert np.array_equal(near.kneighbors(X[:9])[1], expected.kneighbors(X[:9])[1])
    assert NearestNeighbors(algorithm="exact").fit(csr_matrix(X)).kneighbors(X[:1])[1][0, 0] == 0


def test_a_recall_out_of_bounds_is_refused() -> None:
    with pytest.raises(ParameterRefused) as caught:
        NearestNeighbors(target_recall=1.5).fit(X)
    assert caught.value.code == "target-recall-range"
