"""What the gate says, word by word, and where exactly its bounds lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from kneighbors.errors import ArrayRefused, KNeighborsError, ParameterRefused
from kneighbors.search import gate
from kneighbors.search.gate import (
    as_array,
    check_corpus,
    check_n_neighbors,
    check_queries,
    check_radius,
)


def refusal(call: Callable[..., Any], *given: Any, **options: Any) -> tuple[Any, ...]:
    """Return the code, the message, the place and the hint that a call is refused with."""
    with pytest.raises(KNeighborsError) as caught:
        call(*given, **options)
    error = caught.value
    return error.code, error.message, error.where, error.hint


RESHAPE = "Reshape your data using array.reshape(1, -1) if it contains a single sample."
DENSE = "Use X.toarray() to convert to a dense numpy array."
ZERO = "Expected vectors of non-zero length in {}, since the cosine distance divides by it; got {}."
OTHER = "Remove them, or use the metric 'euclidean'."
CASES: list[tuple[Any, tuple[Any, ...]]] = [
    (
        5.0,
        (
            "array-shape",
            "Expected 2D array, got scalar array instead: X has the shape ().",
            None,
            RESHAPE,
        ),
    ),
    (
        [1.0, 2.0],
        (
            "array-shape",
            "Expected 2D array, got 1D array instead: X has the shape (2,).",
            None,
            RESHAPE,
        ),
    ),
    (
        np.zeros((0, 3)),
        (
            "array-empty",
            "Found array with 0 sample(s) (shape=(0, 3)) while a minimum of 1 is required.",
            None,
            None,
        ),
    ),
    (
        np.zeros((3, 0)),
        (
            "array-empty",
            "Found array with 0 feature(s) (shape=(3, 0)) while a minimum of 1 is required.",
            None,
            None,
        ),
    ),
    (
        csr_matrix(np.eye(2)),
        (
            "array-dtype",
            "Sparse data was passed for X, but dense data is required.",
            None,
            DENSE,
        ),
    ),
    (
        np.ma.masked_invalid([[1.0, np.nan]]),
        ("array-dtype", "Expected plain numbers in X, got masked ones.", None, None),
    ),
    (
        np.array([[1j]]),
        ("array-dtype", "Complex data not supported: X is complex128.", None, None),
    ),
    (
        np.array([["a"]]),
        ("array-dtype", "Expected numbers in X, got an array of dtype '<U1'.", None, None),
    ),
    (
        np.array([[b"a"]]),
        ("array-dtype", "Expected numbers in X, got an array of dtype '|S1'.", None, None),
    ),
    (
        np.array([["2020-01-01"]], "M8[D]"),
        ("array-dtype", "Expected numbers in X, got an array of dtype '<M8[D]'.", None, None),
    ),
    (
        [[1.0, np.nan]],
        ("array-not-finite", "Input X contains NaN.", "row 0, column 1", None),
    ),
    (
        np.array([[1.0], [-np.inf]], np.float32),
        (
            "array-not-finite",
            "Input X contains infinity or a value too large for dtype('float32').",
            "row 1, column 0",
            None,
        ),
    ),
    (
        [[0.0, -0.0], [1.0, 0.0]],
        ("array-zero-vector", ZERO.format("X", "1 zero vector"), "row 0", OTHER),
    ),
    (
        np.zeros((2, 3)),
        ("array-zero-vector", ZERO.format("X", "2 zero vectors"), "rows 0, 1", OTHER),
    ),
    (
        np.zeros((10, 1)),
        (
            "array-zero-vector",
            ZERO.format("X", "10 zero vectors"),
            "rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
            OTHER,
        ),
    ),
    (
        np.zeros((11, 1)),
        (
            "array-zero-vector",
            ZERO.format("X", "11 zero vectors"),
            "rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...",
            OTHER,
        ),
    ),
]


@pytest.mark.parametrize("name", ["X", "Q", "wines"])
@pytest.mark.parametrize(("given", "expected"), CASES)
def test_a_refusal_says_what_was_expected_what_came_where_and_what_to_do(
    given: Any, expected: tuple[Any, ...], name: str
) -> None:
    code, message, where, hint = expected
    if name != "X":
        named = message.replace(" X ", f" {name} ").replace(" X:", f" {name}:")
        message = named.replace(" X,", f" {name},").replace("in X.", f"in {name}.")
    assert (code, message, where, hint) == refusal(check_corpus, given, "cosine", name=name)
    if name == "X":
        assert expected == refusal(check_corpus, given, "cosine")


def test_queries_are_called_q() -> None:
    assert (
        "array-width",
        "Q has 2 features, but the index is expecting 3 features as input.",
        None,
        None,
    ) == refusal(check_queries, np.ones((1, 2)), 3, "cosine")
    assert "Input Q contains NaN." == refusal(check_queries, [[np.nan]], 1, "cosine")[1]
    given = (np.zeros((1, 2)), 2, "cosine")
    assert "array-zero-vector" == refusal(check_queries, *given)[0]
    assert ZERO.format("Q", "1 zero vector") == refusal(check_queries, *given)[1]
    assert (
        "Expected 2D array, got 1D array instead: Q has the shape (1,)."
        == (refusal(check_queries, [1.0], 1, "cosine")[1])
    )


def test_what_numpy_makes_nothing_of_is_refused_in_its_words() -> None:
    code, message, _, _ = refusal(as_array, [[1.0, 2.0], [3.0]], "X")
    assert "array-ragged" == code
    assert message.startswith("Expected rows of equal length in X: setting an array element")

    class Endless:
        def __len__(self) -> int:
            return 1 << 62

        def __getitem__(self, place: int) -> list[float]:
            return [1.0, 2.0]

    code, message, _, _ = refusal(as_array, Endless(), "X")
    assert "array-dtype" == code
    assert message.startswith("Expected an array in X: ")
    given = np.ones(3)
    assert as_array(given, "X") is given

    class Own(np.ndarray):
        pass

    assert type(as_array(given.view(Own), "X")) is np.ndarray


def test_a_corpus_that_only_says_that_it_is_masked_or_sparse_passes() -> None:
    assert check_corpus(np.ma.array([[1.0, 2.0]]), "cosine").tolist() == [[1.0, 2.0]]

    class Half(np.ndarray):
        def tocsr(self) -> None:
            """Look like a sparse matrix in one way, and not in the other."""

    assert check_corpus(np.ones((1, 2)).view(Half), "cosine").tolist() == [[1.0, 1.0]]


def test_wrong_numbers_of_neighbours_are_named() -> None:
    assert (
        "n-neighbors-type",
        "n_neighbors does not take <class 'str'> value, enter integer value",
        None,
        None,
    ) == refusal(check_n_neighbors, "3", 10)
    assert ("n-neighbors-range", "Expected n_neighbors > 0. Got 0", None, None) == (
        refusal(check_n_neighbors, 0, 10)
    )
    assert (
        "n-neighbors-range",
        "Expected n_neighbors <= n_samples_fit, but n_neighbors = 11, n_samples_fit = 10",
        None,
        None,
    ) == refusal(check_n_neighbors, 11, 10)


@pytest.mark.parametrize("value", [10**400, Fraction(10**400), -(10**400)])
def test_a_radius_that_no_float_holds_is_refused(value: Any) -> None:
    assert (
        "radius-range",
        "Expected radius to be a number that a float64 holds, got one beyond.",
        None,
        None,
    ) == refusal(check_radius, value, "inner_product")


def test_wrong_radii_are_named() -> None:
    assert ("radius-type", "Expected radius to be a number, got str.", None, None) == (
        refusal(check_radius, "1", "cosine")
    )
    assert ("radius-range", "Expected radius to be a number, got NaN.", None, None) == (
        refusal(check_radius, math.nan, "inner_product")
    )
    assert (
        "radius-range",
        "Expected radius >= 0 for the metric 'cosine', got -0.5.",
        None,
        None,
    ) == refusal(check_radius, -0.5, "cosine")
    assert 0.0 == check_radius(0, "cosine")
    assert 0.5 == check_radius(0.5, "euclidean")


@pytest.mark.parametrize(
    ("metric", "length"), [("euclidean", 1e300), ("sqeuclidean", 1e150), ("inner_product", 1e150)]
)
def test_values_pass_up_to_the_length_that_overflows_and_no_further(
    metric: str, length: float
) -> None:
    # Of a row of four, each may be half of it.
    X = np.full((2, 4), length / 2)
    assert check_corpus(X, metric) is X
    X[1, 2] = 1.01 * length / 2
    assert (
        "array-overflow",
        f"Expected values up to {length / 2:.3g} in X, since the metric {metric!r} would overflow "
        f"beyond; got {1.01 * length / 2:.3g}.",
        "row 1",
        "Scale the data down.",
    ) == refusal(check_corpus, X, metric)


def test_large_numbers_pass_without_a_warning() -> None:
    # Their squares overflow: in float32 to infinity, and subtracted from one another to NaN.
    for X in (np.full((2, 3), 3e38, np.float32), np.full((2, 3), 1e300)):
        assert check_corpus(X, "cosine") is X
    beyond = np.array([[np.longdouble("1e4000"), 1]], np.longdouble)
    if np.isfinite(beyond).all():
        assert "array-not-finite" == refusal(check_corpus, beyond, "cosine")[0]


def test_faults_are_found_and_counted_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_BLOCK_ELEMENTS", 12)
    X = np.ones((30, 4))
    X[[1, 4, 8, 9, 10, 13, 16, 20, 21, 22, 28, 29]] = 0
    assert (
        "array-zero-vector",
        ZERO.format("X", "12 zero vectors"),
        "rows 1, 4, 8, 9, 10, 13, 16, 20, 21, 22, ...",
        OTHER,
    ) == refusal(check_corpus, X, "cosine")
    X = np.ones((30, 4), np.float32)
    X[25, 3] = np.nan
    assert "row 25, column 3" == refusal(check_corpus, X, "euclidean")[2]
    X = np.ones((30, 4))
    X[17] = 1e200
    assert "row 17" == refusal(check_corpus, X, "sqeuclidean")[2]
    assert [(0, 3), (3, 3), (6, 1)] == [(n, len(b)) for n, b in gate._blocks(np.ones((7, 4)))]
    # A row that is longer than a block is a block.
    assert [(0, 1), (1, 1)] == [(n, len(b)) for n, b in gate._blocks(np.ones((2, 40)))]


def test_refusals_are_of_the_kind_of_what_is_at_fault() -> None:
    with pytest.raises(ArrayRefused):
        check_corpus("abc", "cosine")
    with pytest.raises(ParameterRefused):
        check_radius("abc", "cosine")
