"""Attribute tables: containers, refusals, and the values that come out."""

from __future__ import annotations

import datetime
import json
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kneighbors.errors import ItemsRefused, StorageError
from kneighbors.items import Catalog

COLUMNS: dict[str, list[Any]] = {
    "name": ["Merlot", None, "Côte"],
    "price": [12.5, float("nan"), 3.0],
    "points": [90, 85, None],
    "organic": [True, None, False],
    "terms": [["ripe", "dark"], [], None],
}
EXPECTED = [
    {"name": "Merlot", "price": 12.5, "points": 90, "organic": True, "terms": ["ripe", "dark"]},
    {"name": None, "price": None, "points": 85, "organic": None, "terms": []},
    {"name": "Côte", "price": 3.0, "points": None, "organic": False, "terms": None},
]


def refusal(items: Any, n_samples: int = 3, ids: Any = None) -> ItemsRefused:
    with pytest.raises(ItemsRefused) as caught:
        Catalog.from_data(n_samples, ids=ids, items=items)
    return caught.value


@pytest.mark.parametrize(
    "make",
    [
        dict,
        pa.table,
        lambda columns: pa.table(columns).to_batches()[0],
        lambda columns: pa.concat_tables([pa.table(columns)[:1], pa.table(columns)[1:]]),
        lambda columns: pa.table({**columns, "name": pa.array(columns["name"], pa.string_view())}),
        lambda columns: pd.DataFrame(
            {**columns, "points": pd.array([90, 85, None], "Int64"), "organic": [True, None, False]}
        ),
        lambda columns: pl.DataFrame({**columns, "price": [12.5, None, 3.0]}),
        lambda columns: pl.DataFrame(columns).with_columns(pl.col("name").cast(pl.Categorical)),
        lambda columns: {name: pl.Series(name, column) for name, column in columns.items()},
    ],
)
def test_items_of_every_container_come_back(make: Any) -> None:
    catalog = Catalog.from_data(3, items=make(COLUMNS))
    assert catalog.columns == tuple(COLUMNS)
    assert catalog.attributes_of([0, 1, 2]) == EXPECTED
    assert catalog.attributes_of([2, 0, 2]) == [EXPECTED[2], EXPECTED[0], EXPECTED[2]]


def test_anything_that_streams_arrow_is_read() -> None:
    class Stream:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return pa.table(COLUMNS).__arrow_c_stream__(requested_schema)

    assert Catalog.from_data(3, items=Stream()).attributes_of([1]) == EXPECTED[1:2]


def test_columns_can_be_chosen_and_ordered() -> None:
    catalog = Catalog.from_data(3, items=COLUMNS)
    (chosen,) = catalog.attributes_of([0], columns=["points", "name"])
    assert list(chosen.items()) == [("points", 90), ("name", "Merlot")]
    assert catalog.attributes_of([0], columns=[]) == [{}]


def test_an_unknown_column_is_refused_with_the_known_ones() -> None:
    catalog = Catalog.from_data(3, items=COLUMNS)
    with pytest.raises(ItemsRefused) as caught:
        catalog.attributes_of([0], columns=["nane"])
    assert caught.value.code == "items-column-unknown"
    assert caught.value.hint is not None
    assert "Did you mean 'name'?" in caught.value.hint
    assert "'terms'" in caught.value.hint


def test_without_items_there_are_no_attributes() -> None:
    catalog = Catalog(2)
    assert not catalog.has_items
    assert catalog.table is None
    assert catalog.schema is None
    assert catalog.columns == ()
    assert catalog.attributes_of([0, 1]) == [{}, {}]
    with pytest.raises(ItemsRefused, match="no columns"):
        catalog.attributes_of([0], columns=["name"])


def test_a_column_becomes_the_ids_and_is_no_attribute_then() -> None:
    items = {"wine": ["a", "b"], "price": [1, 2]}
    catalog = Catalog.from_data(2, ids="wine", items=items)
    assert catalog.id_type == "string"
    assert catalog.columns == ("price",)
    only = Catalog.from_data(2, ids="wine", items={"wine": [7, 5]})
    assert (only.id_type, only.has_items) == ("integer", False)


def test_a_named_index_of_pandas_is_a_column() -> None:
    frame = pd.DataFrame({"price": [1, 2]}, index=pd.Index(["a", "b"], name="wine"))
    assert Catalog.from_data(2, ids="wine", items=frame).rows_of(["b"]).tolist() == [1]
    assert Catalog.from_data(2, items=pd.DataFrame({"x": [1, 2]}, index=[5, 6])).columns == ("x",)


@pytest.mark.parametrize("items", [None, {"name": ["a", "b"]}])
def test_an_id_column_that_is_not_there_is_refused(items: Any) -> None:
    error = refusal(items, n_samples=2, ids="wine")
    assert error.code == ("ids-column" if items is None else "items-column-unknown")
    assert "'wine'" in error.message


@pytest.mark.parametrize("n_rows", [0, 2, 4])
def test_a_table_of_another_length_is_refused(n_rows: int) -> None:
    error = refusal({"x": list(range(n_rows))})
    assert error.code == "items-count"
    assert "Expected 3 rows" in error.message
    assert f"got {n_rows}" in error.message


def test_columns_of_different_lengths_are_refused() -> None:
    error = refusal({"x": [1, 2, 3], "y": [1, 2]})
    assert error.code == "items-count"
    assert "from 2 to 3" in error.message


@pytest.mark.parametrize(
    "items",
    [
        pa.table([[1, 2, 3], [1, 2, 3]], names=["x", "x"]),
        pd.DataFrame([[1, 2]] * 3, columns=["x", "x"]),
        {"": [1, 2, 3]},
        {7: [1, 2, 3]},
        {"x\ud800": [1, 2, 3]},
        {"x" * 1025: [1, 2, 3]},
    ],
)
def test_names_that_cannot_be_keys_are_refused(items: Any) -> None:
    assert refusal(items).code == "items-column"


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([{"a": 1}] * 3), "struct"),
        (pa.array([[1], [2], [3]]), "list"),
        (pa.array([[["a"]]] * 3), "list"),
        (pa.array([b"a", b"b", b"c"]), "binary"),
        (pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int64())), "map"),
        (pa.array([b"ab", b"cd", b"ef"], pa.binary(2)), "fixed_size_binary"),
        (pa.array([[1, 2, 3]] * 3, pa.list_(pa.float32(), 3)), "fixed_size_list"),
    ],
)
def test_nested_and_binary_columns_are_refused_by_name(column: Any, kind: str) -> None:
    error = refusal(pa.table({"fine": [1, 2, 3], "odd": column}))
    assert error.code == "items-type"
    assert error.where == "column 'odd'"
    assert kind in error.message


@pytest.mark.parametrize("make", [dict, pd.DataFrame])
def test_a_column_of_mixed_objects_is_refused_by_name(make: Any) -> None:
    error = refusal(make({"fine": [1, 2, 3], "odd": [1, "b", 3.5]}))
    assert (error.code, error.where) == ("items-type", "column 'odd'")


@pytest.mark.parametrize("items", [7, [1, 2, 3], b"x", pa.array([1, 2, 3])])
def test_what_is_no_table_is_refused(items: Any) -> None:
    assert refusal(items).code == "items-type"


def test_values_are_what_json_can_hold() -> None:
    day = datetime.date(2020, 2, 29)
    moment = datetime.datetime(2020, 2, 29, 1, 2, 3, 4)
    cases: dict[str, tuple[pa.Array, Any]] = {
        "half": (pa.array(np.array([1.5], np.float16)), 1.5),
        "infinite": (pa.array([float("inf")]), None),
        "minus": (pa.array([float("-inf")], pa.float32()), None),
        "large": (pa.array([2**63 - 1]), 2**63 - 1),
        "unsigned": (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
        "decimal": (pa.array([Decimal("1E+3")], pa.decimal128(10, 2)), "1000.00"),
        "wide": (pa.array([Decimal("0.1")], pa.decimal256(60, 30)), "0." + "1".ljust(30, "0")),
        "day": (pa.array([day]), "2020-02-29"),
        "day64": (pa.array([day], pa.date64()), "2020-02-29"),
        "old": (pa.array([-1_000_000], pa.int32()).view(pa.date32()), "-768-02-04"),
        "moment": (pa.array([moment]), "2020-02-29T01:02:03.000004"),
        "zoned": (
            pa.array([moment], pa.timestamp("us", "Europe/Paris")),
            "2020-02-29T01:02:03.000004Z",
        ),
        "nano": (pa.array([1], pa.timestamp("ns")), "1970-01-01T00:00:00.000000001"),
        "time": (pa.array([datetime.time(1, 2, 3)]), "01:02:03.000000"),
        "time32": (pa.array([3661], pa.time32("s")), "01:01:01"),
        "span": (pa.array([datetime.timedelta(days=1, microseconds=500_000)]), "PT86400.5S"),
        "back": (pa.array([-1500], pa.duration("ms")), "-PT1.5S"),
        "seconds": (pa.array([90], pa.duration("s")), "PT90S"),
        "coded": (pa.array(["x"]).dictionary_encode(), "x"),
        "coded float": (pa.array([float("nan")]).dictionary_encode(), None),
        "nothing": (pa.nulls(1), None),
        "texts": (pa.array([["a", None]], pa.large_list(pa.large_string())), ["a", None]),
        "pair": (pa.array([["a", "b"]], pa.list_(pa.string(), 2)), ["a", "b"]),
    }
    table = pa.table({name: column for name, (column, _) in cases.items()})
    (found,) = Catalog(1, table=table).attributes_of([0])
    assert found == {name: value for name, (_, value) in cases.items()}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_missing_values_of_every_type_are_none() -> None:
    kinds = [
        pa.bool_(), pa.int8(), pa.float16(), pa.float64(), pa.decimal128(5, 2), pa.string(),
        pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("ns"), pa.timestamp("ns", "UTC"),
        pa.duration("us"), pa.list_(pa.string()), pa.dictionary(pa.int8(), pa.string()),
    ]  # fmt: skip
    table = pa.table({str(kind): pa.array([None, None], kind) for kind in kinds})
    assert Catalog(2, table=table).attributes_of([1]) == [{str(kind): None for kind in kinds}]


def test_dictionary_encoding_is_kept() -> None:
    column = pa.array(["a", "b", "a"]).dictionary_encode()
    catalog = Catalog(3, table=pa.table({"x": column}))
    assert catalog.schema is not None
    assert pa.types.is_dictionary(catalog.schema.field("x").type)


def test_rows_are_found_in_whatever_chunk_they_are() -> None:
    pieces = [pa.table({"x": pa.array(range(start, stop), pa.int64())})
              for start, stop in ((0, 3), (3, 3), (3, 4), (4, 10))]  # fmt: skip
    catalog = Catalog(10, table=pa.concat_tables(pieces))
    rows = np.random.default_rng(0).integers(0, 10, 50)
    assert [item["x"] for item in catalog.attributes_of(rows)] == rows.tolist()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.text(st.characters(codec="utf-8")),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=3),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_attributes_come_back_as_they_were(rows: list[tuple[Any, Any, Any]]) -> None:
    texts, numbers, lists = zip(*rows, strict=True)
    table = pa.table(
        [
            pa.array(texts, pa.string()),
            pa.array(numbers, pa.float64()),
            pa.array(lists, pa.list_(pa.string())),
        ],
        names=["text", "number", "list"],
    )
    found = Catalog(len(rows), table=table).attributes_of(range(len(rows)))
    assert [tuple(item.values()) for item in found] == rows


# Files ------------------------------------------------------------------------------------------


def test_csv_keeps_what_a_guess_would_lose(tmp_path: Path) -> None:
    path = tmp_path / "wines.csv"
    path.write_text(
        "id,zip,points,price,organic,note,wide,nothing\n"
        '007,01234,90,1.5,true,"two\nlines, and ""quotes""",12345678901234567890,\n'
        '010,99999,,2,false,"",1,\n',
        encoding="utf-8-sig",
    )
    catalog = Catalog.from_data(2, ids="id", items=path)
    assert catalog.ids_of([0, 1]) == ["007", "010"]
    assert catalog.attributes_of([0, 1]) == [
        {"zip": "01234", "points": 90, "price": 1.5, "organic": True,
         "note": 'two\nlines, and "quotes"', "wide": "12345678901234567890", "nothing": None},
        {"zip": "99999", "points": None, "price": 2.0, "organic": False,
         "note": "", "wide": "1", "nothing": None},
    ]  # fmt: skip


def test_csv_ids_that_are_plain_numbers_are_integers(tmp_path: Path) -> None:
    path = tmp_path / "wines.csv"
    path.write_text("id,name\n10,a\n-7,b\n0,c\n")
    assert Catalog.from_data(3, ids="id", items=str(path)).rows_of([-7]).tolist() == [1]


@pytest.mark.parametrize("name", ["wines.parquet", "wines.pq", "WINES.PARQUET"])
def test_parquet_is_read(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table(COLUMNS), tmp_path / name)
    assert Catalog.from_data(3, items=tmp_path / name).attributes_of([0, 1, 2]) == EXPECTED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wines.parquet", b"PAR1 no more"),
        ("wines.csv", b""),
        ("wines.csv", b"a,b\n1\n"),
        ("wines.csv", b"a\n\xff\xfe\n"),
        ("wines.json", b"[]"),
        ("wines", b"a\n1\n"),
    ],
)
def test_files_that_are_no_table_are_refused_by_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = refusal(path)
    assert (error.code, error.where) == ("items-file", str(path))


@pytest.mark.parametrize("name", ["wines.csv", "wines.parquet"])
def test_files_that_are_not_there_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError) as caught:
        Catalog.from_data(3, items=tmp_path / name)
    assert (caught.value.code, caught.value.where) == ("storage-missing", str(tmp_path / name))
    (tmp_path / name).mkdir()
    with pytest.raises(StorageError) as caught:
        Catalog.from_data(3, items=tmp_path / name)
    assert caught.value.code == "storage-failed"


# Imports ----------------------------------------------------------------------------------------


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_ids_need_neither_pyarrow_nor_pandas() -> None:
    code = (
        "import sys; from kneighbors.items import Catalog;"
        "c = Catalog(3, ids=['a', 'b', 'c']); c.rows_of(['b']); c.ids_of([2]);"
        "c.attributes_of([0]); Catalog(2, ids=[5, 6]).rows_of([6]);"
        "print([m for m in ('pyarrow', 'pandas', 'sklearn', 'scipy') if m in sys.modules])"
    )
    assert run(code) == "[]"


def test_values_of_every_type_need_no_pandas(tmp_path: Path) -> None:
    table = pa.table({
        "t": pa.array([1], pa.timestamp("ns", "UTC")), "d": pa.array([1], pa.date32()),
        "u": pa.array([1], pa.duration("ns")), "m": pa.array([1], pa.time64("us")), "f": [1.5],
        "n": [Decimal("1.5")], "s": ["x"], "l": [["a"]], "c": pa.array(["x"]).dictionary_encode(),
    })  # fmt: skip
    path = tmp_path / "items.arrow"
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    code = (
        "import sys, pyarrow as pa; from kneighbors.items import Catalog;"
        f"t = pa.ipc.open_file({str(path)!r}).read_all();"
        "assert len(Catalog(1, table=t).attributes_of([0])[0]) == 9;"
        "print([m for m in ('pandas', 'sklearn', 'scipy') if m in sys.modules])"
    )
    assert run(code) == "[]"


def test_text_of_the_newer_layout_is_read_wherever_it_is() -> None:
    view = pa.string_view()
    coded = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 0], pa.int8()), pa.array(["a", "b"], view)
    )
    columns = {
        "plain": pa.array(["a", None, "c"], view),
        "coded": coded,
        "lists": pa.array([["a"], None, []], pa.list_(view)),
    }

    class Stream:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return pa.table(columns).__arrow_c_stream__(requested_schema)

    catalog = Catalog.from_data(3, items=Stream())
    assert catalog.attributes_of([0, 1]) == [
        {"plain": "a", "coded": "a", "lists": ["a"]},
        {"plain": None, "coded": "b", "lists": None},
    ]
    assert catalog.schema is not None
    assert pa.types.is_dictionary(catalog.schema.field("coded").type)
    assert "view" not in str(catalog.schema)


def test_a_stream_that_breaks_is_refused() -> None:
    class Broken:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            raise ValueError("no more")

    assert refusal(Broken()).code == "items-type"


def test_metadata_is_left_away() -> None:
    field = pa.field("x", pa.int64(), metadata={"secret": "1"})
    table = pa.table([[1, 2]], schema=pa.schema([field], metadata={"pandas": "{}"}))
    schema = Catalog(2, table=table).schema
    assert schema is not None
    assert (schema.metadata, schema.field("x").metadata) == (None, None)


def test_a_catalogue_can_be_pickled() -> None:
    catalog = Catalog.from_data(3, ids=["a", "b", "c"], items=COLUMNS)
    again = pickle.loads(pickle.dumps(catalog))
    assert again.rows_of(["c"]).tolist() == [2]
    assert again.attributes_of([0, 1, 2]) == EXPECTED
    assert repr(again) == "Catalog(3 rows, ids: string, items)"
    assert len(again) == 3
