"""The gate: what passes, what it becomes, and every refusal by its code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from kneighbors.errors import ArrayRefused, ParameterRefused
from kneighbors.search.gate import check_corpus, check_n_neighbors, check_queries, check_radius
from kneighbors.search.metrics import METRICS

RAGGED = [[1.0, 2.0], [3.0]]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (5.0, "array-shape"),
        ([1.0, 2.0], "array-shape"),
        (np.zeros((2, 2, 2)), "array-shape"),
        (np.zeros((0, 3)), "array-empty"),
        (np.zeros((3, 0)), "array-empty"),
        (RAGGED, "array-ragged"),
        ([["a", "b"]], "array-dtype"),
        ([[b"a"]], "array-dtype"),
        ([[None, 1.0]], "array-dtype"),
        ([[1j, 1.0]], "array-dtype"),
        ([[10**400, 1]], "array-dtype"),
        (np.array([["2020-01-01"]], "M8[D]"), "array-dtype"),
        (np.array([[(1, 2)]], "i4,i4"), "array-dtype"),
        (np.array([[{}]]), "array-dtype"),
        (csr_matrix(np.eye(2)), "array-dtype"),
        (np.ma.masked_invalid([[1.0, np.nan]]), "array-dtype"),
        ([[1.0, np.nan]], "array-not-finite"),
        ([[1.0, -np.inf]], "array-not-finite"),
        (np.array([[1e39]], np.longdouble) * 1e300, "array-not-finite"),
        ([[1.0, 2.0], [0.0, 0.0]], "array-zero-vector"),
        ([[0.0, -0.0]], "array-zero-vector"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_bad_arrays_are_refused_by_code(given: Any, code: str) -> None:
    with pytest.raises(ArrayRefused) as refusal:
        check_corpus(given, "cosine")
    assert refusal.value.code == code


def test_a_refusal_names_the_place() -> None:
    X = np.ones((3000, 700))
    X[2777, 13] = np.nan
    with pytest.raises(ArrayRefused, match=r"contains NaN\. At row 2777, column 13\."):
        check_corpus(X, "euclidean")
    X = np.ones((30, 7), np.float32)
    X[5:20] = 0
    with pytest.raises(ArrayRefused, match=r"15 zero vectors\. At rows 5, 6, .*, 14, \.\.\.\."):
        check_corpus(X, "cosine")


def test_zero_vectors_pass_where_no_norm_divides() -> None:
    for metric in sorted(set(METRICS) - {"cosine"}):
        assert check_corpus(np.zeros((2, 3)), metric).shape == (2, 3)


def test_numbers_too_small_to_square_are_no_zero_vectors() -> None:
    assert check_corpus(np.full((2, 3), 1e-200), "cosine").shape == (2, 3)
    assert check_corpus(np.full((2, 3), 1e-45, np.float32), "cosine").shape == (2, 3)


@pytest.mark.parametrize(
    ("metric", "largest"), [("euclidean", 1e301), ("sqeuclidean", 1e151), ("inner_product", 1e151)]
)
def test_values_whose_distances_would_overflow_are_refused(metric: str, largest: float) -> None:
    X = np.ones((4, 3))
    X[2, 1] = -largest
    with pytest.raises(ArrayRefused, match=r"At row 2\.") as refusal:
        check_corpus(X, metric)
    assert refusal.value.code == "array-overflow"
    assert check_corpus(X, "cosine") is X


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float16", "float32"),
        ("float32", "float32"),
        (">f4", "float32"),
        ("float64", "float64"),
        (">f8", "float64"),
        ("longdouble", "float64"),
        ("int8", "float32"),
        ("uint16", "float32"),
        ("int32", "float64"),
        ("uint64", "float64"),
        ("bool", "float32"),
    ],
)
def test_dtypes_become_native_floats_that_hold_them(dtype: str, expected: str) -> None:
    X = np.array([[1, 0], [1, 1]]).astype(dtype)
    passed = check_corpus(X, "euclidean")
    assert passed.dtype == np.dtype(expected)
    assert passed.dtype.isnative
    assert passed.tolist() == [[1, 0], [1, 1]]


def test_layouts_become_contiguous_and_good_arrays_pass_as_they_are() -> None:
    X = np.arange(24.0).reshape(4, 6)
    assert check_corpus(X, "cosine") is X
    for other in (np.asfortranarray(X), X[:, ::2], X[::-1], X.T):
        passed = check_corpus(other, "cosine")
        assert passed.flags.c_contiguous
        np.testing.assert_array_equal(passed, other)
    read_only = X.copy()
    read_only.flags.writeable = False
    assert check_corpus(read_only, "cosine") is read_only


def test_queries_must_have_the_width_of_the_corpus_and_may_be_none() -> None:
    assert check_queries(np.empty((0, 3)), 3, "cosine").shape == (0, 3)
    for width in (2, 4, 6):
        with pytest.raises(ArrayRefused, match=f"has {width} features") as refusal:
            check_queries(np.ones((1, width)), 3, "cosine")
        assert refusal.value.code == "array-width"


@pytest.mark.parametrize("value", [0, -1, 11, 2**31, 2**63, 10**30])
def test_n_neighbors_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(ParameterRefused) as refusal:
        check_n_neighbors(value, 10)
    assert refusal.value.code == "n-neighbors-range"


@pytest.mark.parametrize("value", [1.0, 1.5, True, np.True_, "10", None, np.float64(3), [3]])
def test_n_neighbors_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(ParameterRefused) as refusal:
        check_n_neighbors(value, 10)
    assert refusal.value.code == "n-neighbors-type"


def test_n_neighbors_may_be_any_integer_in_range() -> None:
    assert [check_n_neighbors(value, 10) for value in (1, 10, np.int8(3), np.uint64(7))] == [
        1,
        10,
        3,
        7,
    ]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (True, "radius-type"),
        ("1", "radius-type"),
        (None, "radius-type"),
        (1j, "radius-type"),
        (float("nan"), "radius-range"),
        (-0.1, "radius-range"),
    ],
)
def test_bad_radii_are_refused(value: Any, code: str) -> None:
    with pytest.raises(ParameterRefused) as refusal:
        check_radius(value, "euclidean")
    assert refusal.value.code == code


def test_a_radius_may_be_negative_for_the_inner_product_only() -> None:
    assert check_radius(-3, "inner_product") == -3.0
    assert check_radius(np.float32(2), "cosine") == 2.0
    assert check_radius(float("inf"), "cosine") == float("inf")
