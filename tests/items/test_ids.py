"""Ids: what is accepted, how each refusal is named, and the way back from an id to its row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kneighbors.errors import ItemsRefused
from kneighbors.items import Catalog, texts

TEXTS = ["merlot", "syrah", "côte", "葡萄", "🍷", "a" * 1024]
NUMBERS = [5, -3, 0, 2**63 - 1, -(2**63), 17]


def refusal(ids: Any, n_samples: int | None = None) -> ItemsRefused:
    with pytest.raises(ItemsRefused) as caught:
        Catalog(len(ids) if n_samples is None else n_samples, ids=ids)
    return caught.value


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        np.array,
        lambda ids: np.array(ids, dtype=object),
        pd.Series,
        pd.Index,
        pl.Series,
        pa.array,
        lambda ids: pa.chunked_array([ids[:2], [], ids[2:]], pa.string()),
        lambda ids: pa.array(ids, pa.large_string()),
        lambda ids: pa.array(["cut", *ids, "off"]).slice(1, len(ids)),
        lambda ids: pa.array(ids).dictionary_encode(),
        lambda ids: pa.array(ids, pa.string_view()),
        lambda ids: pd.Series(ids, dtype="category"),
        lambda ids: (value for value in ids),
    ],
)
def test_text_ids_of_every_container_come_back(make: Any) -> None:
    catalog = Catalog(len(TEXTS), ids=make(TEXTS))
    assert catalog.id_type == "string"
    assert catalog.ids_of(range(len(TEXTS))) == TEXTS
    assert catalog.rows_of(TEXTS[::-1]).tolist() == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    "make",
    [
        list,
        np.array,
        lambda ids: np.array(ids, dtype=object),
        lambda ids: [np.int64(value) for value in ids],
        pd.Series,
        pl.Series,
        pa.array,
        lambda ids: pa.chunked_array([ids[:2], ids[2:]]),
        lambda ids: pa.array(ids).dictionary_encode(),
    ],
)
def test_integer_ids_of_every_container_come_back(make: Any) -> None:
    catalog = Catalog(len(NUMBERS), ids=make(NUMBERS))
    assert catalog.id_type == "integer"
    assert catalog.ids_of(range(len(NUMBERS))) == NUMBERS
    assert catalog.rows_of(NUMBERS).tolist() == [0, 1, 2, 3, 4, 5]
    assert all(type(value) is int for value in catalog.ids_of([0, 1]))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint16, np.int32, np.uint64, ">i8"])
def test_integers_of_every_width_are_ids(dtype: Any) -> None:
    catalog = Catalog(3, ids=np.array([7, 5, 6], dtype=dtype))
    assert catalog.rows_of([5, 6, 7]).tolist() == [1, 2, 0]


def test_without_ids_the_rows_are_the_ids() -> None:
    catalog = Catalog(4)
    assert catalog.id_type == "row"
    assert catalog.rows_of(np.array([3, 0])).tolist() == [3, 0]
    assert catalog.ids_of([2, 1]) == [2, 1]
    assert catalog.parts() == {}


def test_numbers_of_ids_and_rows_agree() -> None:
    error = refusal(["a", "b"], n_samples=3)
    assert error.code == "ids-count"
    assert "Expected 3 ids" in str(error)
    assert "got 2" in str(error)


@pytest.mark.parametrize(
    "ids",
    [
        ["a", None, "c", None],
        ["a", float("nan"), "c", np.nan],
        np.array(["a", None, "c", None], dtype=object),
        pd.Series(["a", None, "c", pd.NA]),
        pd.Series([1, pd.NA, 3, pd.NA], dtype="Int64"),
        pa.array(["a", None, "c", None]),
        pa.array([1, None, 3, None]),
        np.ma.array([1, 2, 3, 4], mask=[False, True, False, True]),
        [None, None, None, None][:2] * 2,
        pa.nulls(4),
    ],
)
def test_missing_ids_are_refused_with_their_rows(ids: Any) -> None:
    error = refusal(ids)
    assert error.code == "ids-null"
    assert error.where is not None
    assert "1" in error.where
    assert "3" in error.where


@pytest.mark.parametrize(
    ("ids", "got", "where"),
    [
        ([True, False], "True", "rows 0 and 1"),
        ([1, True], "True", "row 1"),
        ([1.0, 2.0], "1.0", "rows 0 and 1"),
        (["a", 2, "c", 4], "2", "rows 1 and 3"),
        ([1, "b"], "'b'", "row 1"),
        ([b"a", b"b"], "b'a'", "rows 0 and 1"),
        ([["a"], ["b"]], "type list", "rows 0 and 1"),
        (pd.Series([1, "b"], dtype=object), "'b'", "row 1"),
    ],
)
def test_ids_of_another_kind_are_refused_with_their_rows(ids: Any, got: str, where: str) -> None:
    error = refusal(ids)
    assert error.code == "ids-type"
    assert got in error.message
    assert error.where == where


@pytest.mark.parametrize(
    ("ids", "got"),
    [
        (np.array([1.0, 2.0]), "float64"),
        (np.array([True, False]), "bool"),
        (np.array([[1], [2]]), "(2, 1)"),
        (np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"), "datetime64"),
        (pa.array([1.5, 2.5]), "double"),
        (pa.array([True, False]), "bool"),
        (pa.array([b"a", b"b"]), "binary"),
        (pd.Series([1.0, 2.0]), "double"),
        ("ab", "'ab'"),
        ({"a": 1, "b": 2}, "dict"),
        (7, "7"),
    ],
)
def test_containers_of_another_kind_are_refused(ids: Any, got: str) -> None:
    error = refusal(ids, n_samples=2)
    assert error.code == "ids-type"
    assert got in error.message


@pytest.mark.parametrize("make", [list, pa.array])
def test_empty_and_long_ids_are_refused(make: Any) -> None:
    error = refusal(make(["a", "", "c", ""]))
    assert (error.code, error.where) == ("ids-text", "rows 1 and 3")
    error = refusal(make(["a", "é" * 513]))
    assert (error.code, error.where) == ("ids-text", "row 1")
    assert "1,024" in error.message
    assert "1,026" in error.message


def test_half_a_surrogate_pair_is_refused_with_its_place() -> None:
    error = refusal(["a", "bc\ud800d"])
    assert (error.code, error.where) == ("ids-text", "row 1, character 2")
    assert "U+D800" in error.message


def test_text_that_is_no_unicode_is_refused() -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"a\xff")]
    )
    assert refusal(broken).code == "ids-text"


@pytest.mark.parametrize("ids", [[1, 2**63], np.array([1, 2**63], dtype=np.uint64)])
def test_integers_beyond_64_bits_are_refused(ids: Any) -> None:
    error = refusal(ids)
    assert (error.code, error.where) == ("ids-range", "row 1")
    assert str(2**63) in error.message


@pytest.mark.parametrize("make", [list, np.array, pa.array])
@pytest.mark.parametrize("kind", [str, int])
def test_a_doubled_id_is_named_with_its_rows(make: Any, kind: Any) -> None:
    ids = [kind(value) for value in [9, 4, 5, 4, 9, 4, 7]]
    error = refusal(make(ids))
    assert error.code == "ids-doubled"
    # The first row that repeats an earlier one is row 3.
    assert f"{kind(4)!r} 3 times; 3 rows repeat" in error.message
    assert error.where == "rows 1, 3 and 5"


def test_ids_that_share_a_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "hashes_of", lambda _, count: np.full(count, 7, dtype=np.uint64))
    ids = ["a", "b", "c", "d"]
    catalog = Catalog(4, ids=ids)
    assert catalog.rows_of(["d", "a", "c"]).tolist() == [3, 0, 2]
    with pytest.raises(ItemsRefused, match="'e'"):
        catalog.rows_of(["e"])
    assert refusal(["a", "b", "c", "b"]).code == "ids-doubled"


@pytest.mark.parametrize(
    ("unknown", "near"),
    [
        ("wine-0017x", "wine-0017"),
        ("wine-017", "wine-0017"),
        ("wien-0017", "wine-0017"),
        ("WINE-0017", "wine-0017"),
        (" wine-0017", "wine-0017"),
        ("wine-001a", "wine-0010"),
    ],
)
def test_an_unknown_id_names_its_neighbours(unknown: str, near: str) -> None:
    catalog = Catalog(5000, ids=[f"wine-{row:04d}" for row in range(5000)])
    with pytest.raises(ItemsRefused) as caught:
        catalog.rows_of(["wine-0001", unknown, "nonsense"])
    error = caught.value
    assert error.code == "id-unknown"
    assert "and 1 more unknown id" in error.message
    assert error.where == "position 1 of the ids"
    assert error.hint is not None
    assert f"'{near}'" in error.hint


def test_composed_and_decomposed_accents_are_different_ids_but_neighbours() -> None:
    catalog = Catalog(2, ids=["caf\u00e9", "tea"])
    with pytest.raises(ItemsRefused) as caught:
        catalog.rows_of(["cafe\u0301"])
    assert caught.value.hint is not None
    assert "café" in caught.value.hint


def test_an_unknown_number_names_the_numbers_beside_it() -> None:
    catalog = Catalog(3, ids=[10, 40, 20])
    for unknown, near in ((15, "10, 20"), (5, "10"), (10**30, "40"), (-(10**30), "10")):
        with pytest.raises(ItemsRefused) as caught:
            catalog.rows_of([10, unknown])
        assert caught.value.code == "id-unknown"
        assert caught.value.hint == f"The nearest are {near}."


@pytest.mark.parametrize("unknown", [10**5000, -1, 3], ids=["huge", "negative", "beyond"])
def test_rows_outside_the_corpus_are_unknown(unknown: int) -> None:
    with pytest.raises(ItemsRefused, match="from 0 to 2") as caught:
        Catalog(3).rows_of([0, unknown])
    assert caught.value.code == "id-unknown"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "unknown",
    ["w" * 1_000_000, "\ud800", "", "a\0b", "w" * 1024],
    ids=["megabyte", "surrogate", "empty", "nul", "longest"],
)
def test_hostile_ids_are_unknown_at_once_and_shown_short(unknown: str) -> None:
    catalog = Catalog(2000, ids=[f"wine-{row:04d}" for row in range(2000)])
    with pytest.raises(ItemsRefused) as caught:
        catalog.rows_of([unknown])
    assert caught.value.code == "id-unknown"
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("ids", "asked"),
    [
        (["a", "b"], [1]),
        (["a", "b"], [b"a"]),
        (["a", "b"], [None]),
        (["a", "b"], "ab"),
        ([1, 2], ["1"]),
        ([1, 2], [True]),
        ([1, 2], [np.True_]),
        ([1, 2], [1.0]),
        (None, ["0"]),
        (None, [False]),
    ],
)
def test_ids_of_another_type_are_refused_not_converted(ids: Any, asked: Any) -> None:
    with pytest.raises(ItemsRefused) as caught:
        Catalog(2, ids=ids).rows_of(asked)
    assert caught.value.code == "id-type"


@pytest.mark.parametrize("rows", [[-1], [3], [0, 10**9]])
def test_ids_of_rows_that_are_not_there_are_refused(rows: list[int]) -> None:
    with pytest.raises(ItemsRefused) as caught:
        Catalog(3, ids=["a", "b", "c"]).ids_of(rows)
    assert caught.value.code == "row-unknown"


@pytest.mark.parametrize("ids", [["a", "b"], [1, 2], None])
def test_no_ids_are_no_rows(ids: Any) -> None:
    rows = Catalog(2, ids=ids).rows_of([])
    assert rows.dtype == np.int64
    assert rows.size == 0


any_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(
    lambda text: len(text.encode()) <= 1024
)


@settings(deadline=None)
@given(
    st.one_of(
        st.lists(any_text, min_size=1, max_size=60, unique=True),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=60, unique=True),
    ),
    st.randoms(use_true_random=False),
)
def test_every_id_finds_its_row_and_every_row_its_id(ids: list[Any], random: Any) -> None:
    built = Catalog(len(ids), ids=ids)
    stored = {name: np.array(part) for name, part in built.parts().items()}
    opened = Catalog.from_parts(len(ids), built.id_type, stored)
    rows = [random.randrange(len(ids)) for _ in range(10)]
    for catalog in (built, opened):
        assert catalog.rows_of([ids[row] for row in rows]).tolist() == rows
        assert catalog.ids_of(rows) == [ids[row] for row in rows]


@settings(deadline=None)
@given(st.lists(any_text, min_size=1, max_size=30, unique=True), any_text)
def test_an_id_is_found_or_unknown_never_mistaken(ids: list[str], asked: str) -> None:
    catalog = Catalog(len(ids), ids=ids)
    if asked in ids:
        assert catalog.rows_of([asked]).tolist() == [ids.index(asked)]
    else:
        with pytest.raises(ItemsRefused, match="Expected an id"):
            catalog.rows_of([asked])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_doubled_ids_are_always_found(numbers: list[int]) -> None:
    for ids in (numbers, [f"id {number}" for number in numbers]):
        if len(set(ids)) < len(ids):
            assert refusal(ids).code == "ids-doubled"
        else:
            Catalog(len(ids), ids=ids)
