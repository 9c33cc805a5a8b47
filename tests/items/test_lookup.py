"""Finding rows by what somebody types."""

from __future__ import annotations

import pickle
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kneighbors.errors import ItemsRefused
from kneighbors.items import Catalog
from kneighbors.items.lookup import Lookup

NAMES = [
    "Château Malbec 2011",
    "Malbec Clásico",
    "Nero d'Avola, Sicilia",
    None,
    "Gewürztraminer\nSpätlese",
    "Weißburgunder",
    "malt whisky",
    "ΟΊΝΟΣ Λευκός",
]
LOOKUP = Lookup(NAMES)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("malb", [1, 0]),
        ("MALBEC", [1, 0]),
        ("mal", [6, 1, 0]),
        ("chateau", [0]),
        ("château 2011", [0]),
        ("2011 CHÂTEAU", [0]),
        ("clasico malb", [1]),
        ("avola", [2]),
        ("d'avola", [2]),
        ("nero d", [2]),
        ("gewurz spat", [4]),
        ("Gewu\u0308rz", [4]),
        ("weissb", [5]),
        ("οινος", [7]),
        ("λευκός", [7]),
        ("mlabec", [1, 0]),
        ("chataeu mablec", [0]),
        ("burgunder", [5]),
        ("malbec riesling", []),
        ("zzz", []),
        ("", []),
        (" .,- ", []),
        ("\ud800", []),
        ("\n", []),
        ("a" * 1_000_000, []),
    ],
)
def test_what_is_typed_finds_the_likeliest_rows_first(query: str, rows: list[int]) -> None:
    assert LOOKUP.rows(query) == rows


def test_no_more_rows_than_asked_for_are_found() -> None:
    lookup = Lookup([f"wine number {number}" for number in range(20_000)])
    assert lookup.rows("wine", 3) == [0, 1, 2]
    assert lookup.rows("num 19", 2) == [19, 190]
    assert lookup.rows("wine", 0) == []


@settings(deadline=None)
@given(st.lists(st.none() | st.text(max_size=12), max_size=12), st.text(max_size=12))
def test_every_text_is_found_by_itself(texts: list[str | None], query: str) -> None:
    lookup = Lookup(texts)
    assert set(lookup.rows(query)) <= set(range(len(texts)))
    for row, text in enumerate(texts):
        words = lookup.rows(text or "", limit=100)
        assert row in words or not words


def catalog(ids: Any = None) -> Catalog:
    return Catalog(8, ids=ids, table=pa.table({"name": NAMES, "price": list(range(8))}))


def test_a_catalogue_is_searched_by_a_column_or_by_its_ids() -> None:
    ids = [f"wine-{row:03d}" for row in range(8)]
    assert catalog(ids).search_text("malb", "name", 1) == [(1, "Malbec Clásico")]
    assert catalog(ids).search_text("wine 003") == [(3, "wine-003")]
    assert catalog(ids).search_text("ine 003") == [(3, "wine-003")]
    assert catalog(range(10, 18)).search_text("17") == [(7, "17")]
    assert catalog().search_text("3") == [(3, "3")]


def test_what_is_found_is_the_same_in_a_copy() -> None:
    first = catalog()
    first.search_text("malb", "name")
    copied = pickle.loads(pickle.dumps(first))
    assert copied.search_text("malb", "name") == first.search_text("malb", "name")


@pytest.mark.parametrize(
    ("column", "code"), [("nane", "items-column-unknown"), ("price", "items-type")]
)
def test_columns_that_cannot_be_searched_are_refused(column: str, code: str) -> None:
    with pytest.raises(ItemsRefused) as caught:
        catalog().search_text("x", column)
    assert caught.value.code == code
