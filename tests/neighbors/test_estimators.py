"""The estimators beside scikit-learn's: checks, answers, errors, and what is left to it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.neighbors as sk
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from kneighbors import KNeighborsTransformer, NearestNeighbors

ESTIMATORS = [NearestNeighbors, KNeighborsTransformer]
SHARED_METRICS = ["cosine", "euclidean", "l2", "minkowski", "sqeuclidean"]
PARAMETERS = [
    {},
    {"metric": "l2"},
    {"metric": "manhattan"},
    {"metric": "inner_product"},
    {"algorithm": "brute"},
]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def corpus(random: np.random.Generator, n: int = 300, d: int = 24) -> Any:
    return random.standard_normal((n, d)) * 0.9 ** np.arange(d)


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_common_check_passes(estimator: Any, parameters: dict[str, Any]) -> None:
    checked = 0
    for instance, check in estimator_checks_generator(estimator(**parameters)):
        if check.func.__name__ == "check_array_api_input":
            continue  # raises SkipTest unless scipy was imported with array API support
        check(instance)
        checked += 1
    assert checked >= 39


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", SHARED_METRICS)
def test_neighbours_are_those_of_scikit_learn(
    metric: str, dtype: Any, random: np.random.Generator
) -> None:
    X, Q = corpus(random).astype(dtype), corpus(random, 40).astype(dtype)
    ours = NearestNeighbors(n_neighbors=7, metric=metric).fit(X)
    theirs = sk.NearestNeighbors(n_neighbors=7, metric=metric, algorithm="brute")
    theirs.fit(X.astype(np.float64))
    for queries in (Q, None):
        expected = theirs.kneighbors(None if queries is None else queries.astype(np.float64))
        found = ours.kneighbors(queries)
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_allclose(found[0], expected[0], atol=1e-9)
        np.testing.assert_array_equal(ours.kneighbors(queries, return_distance=False), found[1])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_radius_and_graphs_are_those_of_scikit_learn(
    metric: str, random: np.random.Generator
) -> None:
    X, Q = corpus(random), corpus(random, 30)
    ours = NearestNeighbors(radius=0.7, metric=metric).fit(X)
    theirs = sk.NearestNeighbors(radius=0.7, metric=metric, algorithm="brute").fit(X)
    for queries in (Q, None):
        expected = theirs.radius_neighbors(queries, sort_results=True)
        found = ours.radius_neighbors(queries)
        for mine, other in zip(found[1], expected[1], strict=True):
            np.testing.assert_array_equal(mine, other)
        for mine, other in zip(found[0], expected[0], strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-9)
        for mode in ("connectivity", "distance"):
            for method in ("kneighbors_graph", "radius_neighbors_graph"):
                mine = getattr(ours, method)(queries, mode=mode)
                other = getattr(theirs, method)(queries, mode=mode)
                np.testing.assert_allclose(mine.toarray(), other.toarray(), atol=1e-9)
    alone = ours.radius_neighbors(Q, return_distance=False)
    np.testing.assert_array_equal(alone[0], ours.radius_neighbors(Q)[1][0])


def test_a_row_is_not_its_own_neighbour_even_among_duplicates() -> None:
    X = np.repeat(np.eye(3), 4, axis=0)
    rows = NearestNeighbors(n_neighbors=3).fit(X).kneighbors(return_distance=False)
    for row, neighbours in enumerate(rows.tolist()):
        block = row // 4 * 4
        assert neighbours == [i for i in range(block, block + 4) if i != row]


def test_inner_product_distance_is_minus_the_dot_product(random: np.random.Generator) -> None:
    X, Q = corpus(random), corpus(random, 5)
    distances, rows = NearestNeighbors(metric="inner_product").fit(X).kneighbors(Q)
    np.testing.assert_array_equal(rows, np.argsort(-(Q @ X.T), axis=1)[:, :5])
    np.testing.assert_allclose(distances, np.sort(-(Q @ X.T), axis=1)[:, :5], atol=1e-12)


@pytest.mark.parametrize(
    "parameters",
    [
        {"metric": "manhattan"},
        {"metric": "minkowski", "p": 3},
        {"metric": "chebyshev"},
        {"metric": lambda a, b: float(np.abs(a - b).sum())},
        {"metric": "minkowski", "metric_params": {"w": np.ones(24)}},
    ],
    ids=["manhattan", "minkowski-3", "chebyshev", "callable", "weighted"],
)
def test_other_metrics_are_left_to_scikit_learn(
    parameters: dict[str, Any], random: np.random.Generator
) -> None:
    X = corpus(random, 60)
    ours, theirs = NearestNeighbors(**parameters).fit(X), sk.NearestNeighbors(**parameters).fit(X)
    assert not hasattr(ours, "index_")
    for mine, other in zip(ours.kneighbors(X[:9]), theirs.kneighbors(X[:9]), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert len(ours.radius_neighbors(X[:3], 2.0)[1]) == 3


def test_sparse_and_precomputed_input_is_left_to_scikit_learn(random: np.random.Generator) -> None:
    X = corpus(random, 60)
    sparse = NearestNeighbors(metric="cosine").fit(csr_matrix(X))
    dense = NearestNeighbors(metric="cosine").fit(X)
    np.testing.assert_array_equal(sparse.kneighbors(X[:9])[1], dense.kneighbors(X[:9])[1])
    np.testing.assert_array_equal(
        dense.kneighbors(csr_matrix(X[:9]))[1], dense.kneighbors(X[:9])[1]
    )
    gaps = sk.NearestNeighbors().fit(X).kneighbors_graph(X, 60, mode="distance").toarray()
    found = NearestNeighbors(metric="precomputed").fit(gaps).kneighbors()
    np.testing.assert_array_equal(found[1], NearestNeighbors().fit(X).kneighbors()[1])


def test_a_fitted_estimator_is_taken_by_scikit_learn(random: np.random.Generator) -> None:
    X = corpus(random, 80)
    tree = sk.BallTree(X)
    expected = NearestNeighbors().fit(X).kneighbors(X[:5])[1]
    np.testing.assert_array_equal(NearestNeighbors().fit(tree).kneighbors(X[:5])[1], expected)
    ours = NearestNeighbors(n_neighbors=8).fit(X)
    copied = sk.NearestNeighbors().fit(ours)
    np.testing.assert_array_equal(copied.kneighbors(X[:5])[1], expected)
    np.testing.assert_array_equal(NearestNeighbors().fit(ours).kneighbors(X[:5])[1], expected)
    graph = NearestNeighbors(radius=1.0).fit(X).radius_neighbors_graph(mode="distance")
    assert DBSCAN(eps=1.0, metric="precomputed").fit(graph).labels_.shape == (80,)


@pytest.mark.parametrize("metric", ["cosine", "manhattan"])
def test_refitting_forgets_the_former_corpus(metric: str, random: np.random.Generator) -> None:
    X = corpus(random, 50)
    estimator = NearestNeighbors(metric=metric).fit(X)
    estimator.set_params(metric="euclidean" if metric == "manhattan" else "manhattan")
    refitted = estimator.fit(X[:20])
    fresh = NearestNeighbors(metric=estimator.metric).fit(X[:20])
    np.testing.assert_array_equal(refitted.kneighbors(X[:5])[1], fresh.kneighbors(X[:5])[1])
    assert hasattr(refitted, "index_") == hasattr(fresh, "index_")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda e, X: e.kneighbors(X, 0), ValueError),
        (lambda e, X: e.kneighbors(X, -1), ValueError),
        (lambda e, X: e.kneighbors(X, 1.5), TypeError),
        (lambda e, X: e.kneighbors(X, len(X) + 1), ValueError),
        (lambda e, X: e.kneighbors(None, len(X)), ValueError),
        (lambda e, X: e.kneighbors(X[:, :3]), ValueError),
        (lambda e, X: e.kneighbors(X[0]), ValueError),
        (lambda e, X: e.kneighbors(np.zeros((2, 2, 2))), ValueError),
        (lambda e, X: e.kneighbors(X * np.nan), ValueError),
        (lambda e, X: e.kneighbors(X * np.inf), ValueError),
        (lambda e, X: e.kneighbors([["a"] * 24]), ValueError),
        (lambda e, X: e.kneighbors(X * 1j), ValueError),
        (lambda e, X: e.kneighbors(X[:0]), ValueError),
        (lambda e, X: e.radius_neighbors(X, sort_results=True, return_distance=False), ValueError),
        (lambda e, X: e.fit(X[:0]), ValueError),
        (lambda e, X: e.fit(X[0]), ValueError),
        (lambda e, X: e.fit(X * np.nan), ValueError),
        (lambda e, X: e.fit(X[:, :0]), ValueError),
        (lambda e, X: e.set_params(n_neighbors=0).fit(X), ValueError),
        (lambda e, X: e.set_params(metric="nonsense").fit(X), ValueError),
        (lambda e, X: e.set_params(algorithm="kd_tree", metric="cosine").fit(X), ValueError),
        (lambda e, X: clone(e).kneighbors(X), ValueError),
        (lambda e, X: clone(e).radius_neighbors(X), ValueError),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_refusals_have_the_type_and_words_of_scikit_learn(
    call: Any, error: type[Exception], random: np.random.Generator
) -> None:
    X = corpus(random, 50)
    messages = []
    for kind in (sk.NearestNeighbors, NearestNeighbors):
        with pytest.raises(error) as refusal:
            call(kind().fit(X), X)
        messages.append(str(refusal.value).replace("inner_product", "").split(" Got ")[0])
    options = "parameter of NearestNeighbors must be a str among"
    assert messages[0] == messages[1] or all(options in message for message in messages)


def test_zero_vectors_under_cosine_are_refused_by_row(random: np.random.Generator) -> None:
    X = corpus(random, 50)
    estimator = NearestNeighbors(metric="cosine").fit(X)
    X[[3, 17]] = 0
    with pytest.raises(ValueError, match=r"2 zero vectors\. At rows 3, 17\."):
        NearestNeighbors(metric="cosine").fit(X)
    with pytest.raises(ValueError, match=r"zero vector\. At row 3\."):
        estimator.kneighbors(X[:9])


@pytest.mark.parametrize("copies", [pickle.dumps, copy.deepcopy], ids=["pickle", "deepcopy"])
def test_a_copy_answers_alike(copies: Any, random: np.random.Generator) -> None:
    X = corpus(random, 9000, 64)
    estimator = NearestNeighbors(metric="cosine").fit(X, ids=[f"wine-{i}" for i in range(9000)])
    assert estimator.index_.plan["engine"] == "head"
    made = copies(estimator)
    made = pickle.loads(made) if isinstance(made, bytes) else made
    for mine, other in zip(made.kneighbors(X[:9]), estimator.kneighbors(X[:9]), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert made.catalog_.ids_of([4]) == ["wine-4"]


def test_feature_names_are_kept_and_compared(random: np.random.Generator) -> None:
    X = pd.DataFrame(corpus(random, 50, 3), columns=["a", "b", "c"])
    estimator = NearestNeighbors().fit(X)
    assert estimator.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        estimator.kneighbors(X.rename(columns={"c": "d"}))


def test_the_transformer_works_in_a_pipeline_and_with_set_output(
    random: np.random.Generator,
) -> None:
    X = corpus(random, 120)
    y = (X[:, 0] > 0).astype(int)
    ours = KNeighborsTransformer(n_neighbors=9, mode="distance", metric="euclidean")
    theirs = sk.KNeighborsTransformer(n_neighbors=9, mode="distance", metric="euclidean")
    expected = theirs.fit_transform(X)
    # scikit-learn's own distance of a row to itself is not always 0.
    np.testing.assert_allclose(ours.fit_transform(X).toarray(), expected.toarray(), atol=1e-6)
    classifier = sk.KNeighborsClassifier(n_neighbors=5, metric="precomputed")
    model = make_pipeline(ours, classifier).fit(X, y)
    assert model.score(X, y) > 0.9
    assert ours.set_output(transform="default").fit(X).transform(X[:4]).shape == (4, 120)
    assert ours.get_feature_names_out()[:2].tolist() == [
        "kneighborstransformer0",
        "kneighborstransformer1",
    ]


def test_a_memory_mapped_corpus_is_not_copied(tmp_path: Any, random: np.random.Generator) -> None:
    np.save(tmp_path / "X.npy", corpus(random, 500).astype(np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    estimator = NearestNeighbors(metric="cosine").fit(X)
    assert np.shares_memory(estimator.index_.rows.slice(0, 500), X)
    assert estimator.kneighbors(X[:3])[1][:, 0].tolist() == [0, 1, 2]


def test_integers_and_small_floats_are_taken_as_numbers() -> None:
    X = [[0, 0], [3, 4], [6, 8]]
    expected = [[5.0, 10.0], [5.0, 5.0], [5.0, 10.0]]
    for dtype in (np.int8, np.int64, np.uint16, np.float16, bool, ">f8", ">f4"):
        found = NearestNeighbors(n_neighbors=2).fit(np.array(X, dtype))
        if dtype is not bool:
            assert found.kneighbors()[0].tolist() == expected
