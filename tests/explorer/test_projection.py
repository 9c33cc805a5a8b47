"""Two axes of a corpus: what they keep, and odd corpora."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from kneighbors.search.rows import ArrayRows
from kneighbors.server.explorer.colours import MISSING, OTHER, by_range, by_value
from kneighbors.server.explorer.facets import facet
from kneighbors.server.explorer.projection import Projection, sampled
from kneighbors.server.explorer.view import title_of


def test_the_order_along_the_widest_axes_is_kept() -> None:
    rng = np.random.default_rng(1)
    plane = rng.standard_normal((500, 2)) * [30.0, 8.0]
    X = np.hstack([plane, rng.standard_normal((500, 6)) * 0.001])
    points = Projection(ArrayRows(X), is_angular=False).points(np.arange(500))
    for axis in (0, 1):
        ranks = plane[:, axis].argsort().argsort(), points[:, axis].argsort().argsort()
        assert abs(np.corrcoef(*ranks)[0, 1]) > 0.99
    assert points.min() == 0.0
    assert points.max() == 1.0


def test_rows_lie_at_one_place_whatever_is_asked_with_them() -> None:
    X = np.random.default_rng(2).standard_normal((9_000, 5)).astype(np.float32)
    projection = Projection(ArrayRows(X), is_angular=True)
    some = np.array([3, 4_000, 8_999])
    assert np.allclose(
        projection.points(np.arange(9_000))[some], projection.points(some), atol=1e-5
    )


@pytest.mark.parametrize(
    "X",
    [np.ones((1, 4)), np.ones((10, 1)), np.full((6, 3), 2.0), np.eye(2), np.arange(4.0)[:, None]],
    ids=["one row", "one column of equals", "all equal", "two rows", "a line"],
)
@pytest.mark.parametrize("is_angular", [False, True])
def test_a_corpus_without_two_axes_has_a_map_all_the_same(
    X: np.ndarray[tuple[int, ...], np.dtype[np.float64]], is_angular: bool
) -> None:
    points = Projection(ArrayRows(X), is_angular=is_angular).points(np.arange(len(X)))
    assert np.isfinite(points).all()
    assert ((points >= 0) & (points <= 1)).all()


def test_a_sample_is_always_the_same_and_rises() -> None:
    rows = sampled(1000, 100)
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(rows, sampled(1000, 100))
    assert np.array_equal(sampled(5, 10), np.arange(5))


def test_the_first_of_the_given_values_that_a_list_holds_colours_it() -> None:
    column = pa.chunked_array([[["b", "a"], None, ["z"]], [[], ["b"]]])
    assert by_value(column, ["a", "b"]).tolist() == [0, MISSING, OTHER, OTHER, 1]


def test_numbers_are_coloured_by_their_place_in_the_range() -> None:
    codes = by_range(np.array([0.0, 5.0, 10.0, 99.0, np.nan, np.inf]), 0.0, 10.0)
    assert codes.tolist() == [0, 126, 253, 253, MISSING, MISSING]
    assert by_range(np.array([3.0, np.nan]), 3.0, 3.0).tolist() == [126, MISSING]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([None, None], pa.float64()), {"kind": "other"}),
        (pa.array([float("nan"), 1.0]), {"kind": "range", "min": 1.0, "max": 1.0}),
        (pa.array([7, 7]), {"kind": "range", "min": 7.0, "max": 7.0, "bins": [2]}),
        (pa.array([None], pa.date32()), {"kind": "other"}),
        (pa.array([True, False, True]), {"kind": "values", "n_distinct": 2}),
        (pa.array([1000 * n for n in range(99)] + [10**9]), {"kind": "range", "max": 1e9}),
    ],
)
def test_the_facet_of_an_odd_column(column: pa.Array, expected: dict[str, object]) -> None:
    described = facet("x", pa.chunked_array([column]))
    assert {name: described[name] for name in expected} == expected


def test_a_few_large_numbers_do_not_flatten_the_histogram() -> None:
    described = facet("x", pa.chunked_array([list(range(990)) + [10**9] * 5]))
    assert described["top"] < 1000
    assert described["max"] == 1e9
    assert sum(described["bins"]) == 995


def test_the_title_is_the_text_that_differs_most_unless_one_is_called_so() -> None:
    assert title_of(pa.table({"a": ["x", "x", "x", "y"]})) is None
    assert title_of(pa.table({"code": ["1", "2"], "name": ["x", "y"]})) == "name"
    assert title_of(None) is None
