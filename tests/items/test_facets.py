"""Counts of values, for a page to build its filters from."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kneighbors.datasets import make_wines
from kneighbors.errors import ItemsRefused
from kneighbors.items import Catalog

WINES = make_wines(500)
CATALOG = Catalog(500, table=WINES.items)
MASK = np.random.default_rng(0).random(500) < 0.3


def facet(column: Any, mask: Any = None, **options: Any) -> dict[str, Any]:
    (found,) = Catalog(len(column), table=pa.table({"x": column})).facets(mask, **options)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def counted(values: list[Any]) -> list[dict[str, Any]]:
    counts = sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"value": value, "count": count} for value, count in counts]


@pytest.mark.parametrize("mask", [None, MASK, np.zeros(500, dtype=np.bool_)])
@pytest.mark.parametrize("encoded", [False, True])
def test_texts_and_lists_are_counted(mask: Any, encoded: bool) -> None:
    table = WINES.items
    if encoded:
        place = table.schema.get_field_index("variety")
        table = table.set_column(place, "variety", table["variety"].dictionary_encode())
    variety, terms = Catalog(500, table=table).facets(mask, ["variety", "terms"], n_values=1000)
    kept = [row for row in range(500) if mask is None or mask[row]]
    names = table["variety"].to_pylist()
    lists = table["terms"].to_pylist()
    assert variety["values"] == counted([names[row] for row in kept])
    assert terms["values"] == counted([term for row in kept for term in lists[row]])
    assert variety["n_values"] == len(variety["values"])
    assert (variety["n_present"], variety["n_missing"]) == (len(kept), 0)
    assert (variety["kind"], terms["kind"]) == ("text", "list")


def test_only_the_most_frequent_values_are_named() -> None:
    found = facet(["b", "a", "b", None, "c", "a", "b"], n_values=2)
    assert found["values"] == [{"value": "b", "count": 3}, {"value": "a", "count": 2}]
    assert (found["n_values"], found["n_present"], found["n_missing"]) == (3, 6, 1)


def test_values_in_several_pieces_are_counted_together() -> None:
    pieces = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", "c"]).dictionary_encode()]
    column = pa.chunked_array(pieces)
    expected = counted(["a", "b", "b", "c"])
    assert facet(column)["values"] == expected
    assert facet(column.cast(pa.string()))["values"] == expected
    lists = pa.chunked_array([[["a"], None], [["b", "a"], []]], pa.list_(pa.string()))
    assert facet(lists)["values"] == counted(["a", "a", "b"])
    assert facet(lists.slice(1))["values"] == counted(["a", "b"])


def test_booleans_are_counted() -> None:
    found = facet(pa.array([True, None, False, True]))
    assert found["values"] == [{"value": True, "count": 2}, {"value": False, "count": 1}]
    assert (found["kind"], found["n_missing"]) == ("boolean", 1)


def test_the_bars_of_all_rows_hold_all_numbers() -> None:
    for found in CATALOG.facets(columns=["price", "points"]):
        column = [one for one in WINES.items[found["name"]].to_pylist() if one is not None]
        assert (found["min"], found["max"]) == (min(column), max(column))
        assert sum(found["histogram"]["counts"]) == found["n_present"] == len(column)
        edges = np.array(found["histogram"]["edges"])
        assert (np.diff(edges) > 0).all()
        last = len(edges) - 2
        places = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, last)
        counts = np.bincount(places, minlength=last + 1).tolist()
        assert found["histogram"]["counts"] == counts


def test_bars_under_a_mask_are_those_of_all_rows() -> None:
    (every,), (some,) = (CATALOG.facets(mask, ["points"]) for mask in (None, MASK))
    assert every["histogram"]["edges"] == some["histogram"]["edges"]
    assert sum(some["histogram"]["counts"]) == int(MASK.sum())
    assert all(
        few <= many
        for few, many in zip(some["histogram"]["counts"], every["histogram"]["counts"], strict=True)
    )


def test_bars_of_whole_numbers_are_whole_numbers_wide() -> None:
    found = facet(pa.array(range(80, 101)), n_bins=10)
    assert found["histogram"]["edges"] == [80, 83, 86, 89, 92, 95, 98, 101]
    assert found["histogram"]["counts"] == [3, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        (pa.array([3, 3, None]), 3, 3),
        (pa.array([1.5, 1.5, float("nan"), float("inf")]), 1.5, 1.5),
        (pa.array([-(2**63), 2**63 - 1]), -(2**63), 2**63 - 1),
        (pa.array([0, 2**64 - 1], pa.uint64()), 0, 2**64 - 1),
        (pa.array([-128, 127], pa.int8()), -128, 127),
        (pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)), 1.5, 1.5),
        (pa.array([1.5, 2.5]).dictionary_encode(), 1.5, 2.5),
        (pa.array([datetime.date(2020, 2, 29), None]), "2020-02-29", "2020-02-29"),
        (pa.array([0, 60], pa.timestamp("s")), "1970-01-01T00:00:00", "1970-01-01T00:01:00"),
        (pa.array([90, 91], pa.duration("s")), "PT90S", "PT91S"),
        (pa.array([0, 1], pa.time32("s")), "00:00:00", "00:00:01"),
        (pa.array([float("nan"), None, float("inf")]), None, None),
        (pa.array([], pa.int64()), None, None),
    ],
)  # fmt: skip
def test_ranges_of_every_kind_are_what_json_can_hold(column: Any, low: Any, high: Any) -> None:
    found = facet(column)
    assert (found["min"], found["max"]) == (low, high)
    if low is not None:
        assert sum(found["histogram"]["counts"]) >= 1
        assert found["histogram"]["edges"][0] == low


def test_a_column_of_nothing_has_nothing_to_count() -> None:
    found = facet(pa.nulls(3))
    assert (found["kind"], found["n_missing"]) == ("nothing", 3)
    assert "values" not in found
    assert "histogram" not in found


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(ItemsRefused) as caught:
        CATALOG.facets(columns=["prise"])
    assert caught.value.code == "items-column-unknown"


def test_without_attributes_there_are_no_facets() -> None:
    assert Catalog(3).facets() == []
