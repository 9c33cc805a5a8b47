"""Distances: exact where they can be, the same bits whatever they are computed with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kneighbors.errors import ParameterRefused
from kneighbors.search.metrics import METRICS, canonical, check_metric, lengths, normalise
from support import oracle

NUMBERS = st.floats(-1e100, 1e100, allow_subnormal=False)
ANY_SIZE = st.floats(-1e300, 1e300)


@given(
    arrays(np.float64, st.tuples(st.integers(1, 8), st.just(5)), elements=NUMBERS),
    arrays(np.float64, 5, elements=NUMBERS),
    st.sampled_from(sorted(METRICS)),
)
def test_distances_are_those_of_extended_precision(
    X: np.ndarray, q: np.ndarray, metric: str
) -> None:
    if metric == "cosine":
        X[~X.any(axis=1), 0] = 1
        q[0] = q[0] if q.any() else 1
    rule = METRICS[metric]
    Q = np.repeat(rule.prepare(q[np.newaxis]), len(X), axis=0)
    found, expected = rule.distances(X, Q), oracle.distances(metric, X, q)
    assert (np.abs(found - expected) <= oracle.tolerance(metric, X, q) + 1e-300).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_a_distance_has_the_same_bits_alone_and_among_others(metric: str, dtype: type) -> None:
    random = np.random.default_rng(3)
    for d in (1, 2, 3, 7, 8, 9, 16, 127, 128, 129, 300):
        X: Any = random.standard_normal((97, d)).astype(dtype)
        X[5] *= 1e-40 if dtype == np.float32 else 1e-200
        rule = METRICS[metric]
        Q = rule.prepare(random.standard_normal((97, d)))
        together = rule.distances(X, Q)
        for i in (0, 1, 5, 50, 96):
            alone = rule.distances(X[i : i + 1], Q[i : i + 1])
            assert alone.tobytes() == together[i : i + 1].tobytes()
        order = random.permutation(97)
        assert rule.distances(X[order], Q[order]).tobytes() == together[order].tobytes()


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "sqeuclidean"])
def test_the_distance_of_a_vector_to_itself_is_zero(metric: str) -> None:
    X = np.random.default_rng(4).standard_normal((200, 33)).astype(np.float32)
    assert not METRICS[metric].distances(X, METRICS[metric].prepare(X)).any()


def test_cosine_lies_between_zero_and_two() -> None:
    X = np.random.default_rng(4).standard_normal((200, 33))
    Q = METRICS["cosine"].prepare(X)
    assert (METRICS["cosine"].distances(-X, Q) <= 2).all()
    np.testing.assert_allclose(METRICS["cosine"].distances(-X, Q), 2, rtol=1e-12)


def test_near_cosine_distances_keep_their_digits() -> None:
    q = np.array([[1.0, 0.0]])
    angle = 1e-9
    X = np.array([[math.cos(angle), math.sin(angle)]])
    found = METRICS["cosine"].distances(X, METRICS["cosine"].prepare(q))[0]
    assert math.isclose(found, angle * angle / 2, rel_tol=1e-6)


@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=ANY_SIZE))
def test_lengths_neither_overflow_nor_vanish(V: Any) -> None:
    expected = [math.hypot(*row) for row in V.tolist()]
    np.testing.assert_allclose(lengths(V), expected, rtol=1e-14, atol=5e-324)


@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=ANY_SIZE))
def test_normalised_rows_have_length_one(V: Any) -> None:
    V[~V.any(axis=1), 0] = 1e-300
    unit = normalise(V)
    np.testing.assert_allclose([math.hypot(*row) for row in unit.tolist()], 1, rtol=1e-14)
    if (np.abs(V[V != 0]) > 1e-290).all():
        assert normalise(V * 0.5**3).tobytes() == unit.tobytes()


def test_names_of_metrics_are_scikit_learns() -> None:
    assert [canonical(name) for name in ("l2", "euclidean", "minkowski", "cosine")] == [
        "euclidean",
        "euclidean",
        "euclidean",
        "cosine",
    ]
    assert canonical("minkowski", p=3) is None
    assert canonical(len) is None
    with pytest.raises(ParameterRefused, match="got 'manhattan'") as refusal:
        check_metric("manhattan")
    assert refusal.value.code == "metric-unknown"
