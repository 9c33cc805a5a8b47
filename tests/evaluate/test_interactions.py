"""Who chose what is read from files and tables, and what is wrong about it is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from kneighbors.errors import InteractionsRefused, ItemsRefused, ParameterRefused, StorageError
from kneighbors.evaluate import Columns, read_interactions
from kneighbors.evaluate.interaction_columns import times_of
from kneighbors.items import Catalog

CATALOG = Catalog(4, ids=["merlot", "syrah", "malbec", "riesling"])
TABLE = {
    "user": ["ann", "bob", "ann", "bob"],
    "item": ["syrah", "merlot", "malbec", "syrah"],
    "time": ["2026-01-02", "2026-01-01", "2026-01-03", "2026-01-04"],
    "weight": [1.0, 2.0, 3.0, 4.0],
}
CSV = "user,item,time\nann,syrah,2026-01-02\nbob,merlot,2026-01-01T12:00:00Z\n"


def changed(**columns: Any) -> dict[str, Any]:
    return {**TABLE, **columns}


def test_lines_become_users_rows_times_and_weights() -> None:
    found = read_interactions(TABLE, CATALOG)
    assert ["ann", "bob"] == found.names
    assert [0, 1, 0, 1] == found.users.tolist()
    assert [1, 0, 2, 1] == found.rows.tolist()
    assert found.times is not None
    assert [0.0, -86400.0, 86400.0, 172800.0] == (found.times - found.times[0]).tolist()
    assert found.weights is not None
    assert [1.0, 2.0, 3.0, 4.0] == found.weights.tolist()


def test_csv_parquet_and_frames_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "likes.csv").write_text(CSV)
    table = pa.table({"user": ["ann", "bob"], "item": ["syrah", "merlot"]})
    parquet.write_table(table, tmp_path / "likes.parquet")
    for source in (tmp_path / "likes.csv", str(tmp_path / "likes.parquet"), table.to_pandas()):
        found = read_interactions(source, CATALOG)
        assert (["ann", "bob"], [1, 0]) == (found.names, found.rows.tolist())


def test_ids_that_look_like_numbers_are_found_as_text(tmp_path: Path) -> None:
    (tmp_path / "likes.csv").write_text("user,item\n7,10\n8,9\n")
    found = read_interactions(tmp_path / "likes.csv", Catalog(2, ids=["9", "10"]))
    assert ([7, 8], [1, 0]) == (found.names, found.rows.tolist())


def test_integer_ids_and_row_numbers_are_items_too() -> None:
    likes = {"user": [1, 1], "item": pa.array([30, 20], pa.int32())}
    assert [2, 1] == read_interactions(likes, Catalog(3, ids=[10, 20, 30])).rows.tolist()
    likes = {"user": [1, 1], "item": [2, 0]}
    assert [2, 0] == read_interactions(likes, Catalog(3)).rows.tolist()


def test_categories_are_read_as_what_they_stand_for() -> None:
    frame = pd.DataFrame(TABLE).astype({"user": "category", "item": "category"})
    assert [1, 0, 2, 1] == read_interactions(frame, CATALOG).rows.tolist()


def test_a_pair_that_comes_again_counts_once_with_its_first_time_and_largest_weight() -> None:
    likes = {"user": ["a", "a", "a"], "item": ["syrah", "malbec", "syrah"],
             "time": [5, 3, 2], "weight": [9.0, 1.0, 2.0]}  # fmt: skip
    found = read_interactions(likes, CATALOG)
    assert found.times is not None
    assert found.weights is not None
    assert [(2, 3.0, 1.0), (1, 2.0, 9.0)] == list(
        zip(found.rows.tolist(), found.times.tolist(), found.weights.tolist(), strict=True)
    )
    assert 1 == found.n_repeated


def test_light_lines_are_left_out_and_counted() -> None:
    found = read_interactions(TABLE, CATALOG, min_weight=3)
    assert (2, [2, 1]) == (found.n_light, found.rows.tolist())


def test_a_weight_of_zero_is_left_out_by_a_least_weight_and_refused_without() -> None:
    likes = changed(weight=[0.0, 2.0, -1.0, 4.0])
    assert 2 == len(read_interactions(likes, CATALOG, min_weight=1))
    with pytest.raises(InteractionsRefused, match=r"above zero, got 0.*rows 0 and 2"):
        read_interactions(likes, CATALOG)


def test_columns_may_be_called_otherwise() -> None:
    likes = {"who": ["ann"], "wine": ["syrah"], "at": [3]}
    found = read_interactions(likes, CATALOG, columns=Columns("who", "wine", "at"))
    assert found.times is not None
    assert ([1], [3.0]) == (found.rows.tolist(), found.times.tolist())


def test_unknown_items_are_named_and_counted_or_skipped() -> None:
    likes = changed(item=["syrah", "sirah", "malbck", "sirah"])
    with pytest.raises(
        InteractionsRefused, match=r"got 'sirah', 'malbck' in 3 of 4 lines.*rows 1, 2 and 3"
    ) as caught:
        read_interactions(likes, CATALOG)
    assert "interactions-item-unknown" == caught.value.code
    found = read_interactions(likes, CATALOG, unknown="skip")
    assert (3, ["sirah", "malbck"], ["ann"]) == (found.n_unknown, found.unknown, found.names)


def test_of_many_unknown_items_the_first_are_named_at_once() -> None:
    likes = {"user": ["u"] * 20_000, "item": [f"x{n}" for n in range(20_000)]}
    with pytest.raises(InteractionsRefused, match="'x4' and 19995 more in 20000 of 20000 lines"):
        read_interactions(likes, CATALOG)


@pytest.mark.parametrize(
    ("likes", "code", "message"),
    [
        ({"user": ["a"]}, "interactions-column", "column 'item', got 'user'"),
        ({"user": [], "item": []}, "interactions-empty", "one line or more"),
        (changed(user=["a", None, "b", "c"]), "interactions-missing", "column 'user', row 1"),
        (changed(item=["syrah", "merlot", "syrah", None]), "interactions-missing", "row 3"),
        (changed(time=[1, 2, None, 4]), "interactions-missing", "column 'time', row 2"),
        (changed(time=["2026-01-01", "soon", "2026-13-01", "1"]), "interactions-time",
         "got 'soon'. At the interactions, column 'time', rows 1, 2 and 3"),
        (changed(time=[1.0, np.inf, 2.0, 3.0]), "interactions-time", "got inf"),
        (changed(time=[True, False, True, True]), "interactions-time", "column of bool"),
        (changed(weight=["1", "2", "3", "4"]), "interactions-weight", "column of string"),
        (changed(weight=[1.0, np.inf, 2.0, 3.0]), "interactions-weight", "got inf"),
        (changed(user=[1.5, 2.5, 3.5, 4.5]), "interactions-type", "column of double"),
        (changed(user=pa.array([2**64 - 1] * 4, pa.uint64())), "interactions-type", "64 bits"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place(
    likes: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(InteractionsRefused) as caught:
        read_interactions(likes, CATALOG)
    assert code == caught.value.code
    assert message in str(caught.value)


def test_text_where_ids_are_integers_is_refused() -> None:
    with pytest.raises(InteractionsRefused, match="Expected integers") as caught:
        read_interactions({"user": ["a"], "item": ["syrah"]}, Catalog(3))
    assert "interactions-item-type" == caught.value.code


def test_a_named_column_has_to_be_there_and_the_usual_one_may_lack() -> None:
    likes = {"user": ["ann"], "item": ["syrah"]}
    assert read_interactions(likes, CATALOG).times is None
    with pytest.raises(InteractionsRefused, match="column 'at'"):
        read_interactions(likes, CATALOG, columns=Columns(time="at"))


def test_a_least_weight_needs_weights() -> None:
    with pytest.raises(ParameterRefused) as caught:
        read_interactions({"user": ["a"], "item": ["syrah"]}, CATALOG, min_weight=2)
    assert "min-weight-needs-weights" == caught.value.code


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_interactions(tmp_path / "none.csv", CATALOG)
    (tmp_path / "likes.parquet").write_bytes(b"PAR1 this is none")
    with pytest.raises(ItemsRefused, match=r"likes\.parquet"):
        read_interactions(tmp_path / "likes.parquet", CATALOG)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1970-01-02", 86400.0), ("1970-01-01T00:00:01", 1.0), ("1970-01-01 00:00:01.5", 1.5),
     ("1970-01-01T01:00:00+01:00", 0.0), ("1970-01-01T00:00:02Z", 2.0)],
)  # fmt: skip
def test_times_are_seconds_since_1970(text: str, seconds: float) -> None:
    column = pa.chunked_array([[text, "1970-01-01"]])
    assert [seconds, 0.0] == times_of(column, "here").tolist()


def test_timestamps_and_dates_are_times_too() -> None:
    stamps = pa.chunked_array([pa.array([1, 2], pa.timestamp("s", "Europe/Paris"))])
    assert [1.0, 2.0] == times_of(stamps, "here").tolist()
    assert [86400.0] == times_of(pa.chunked_array([pa.array([1], pa.date32())]), "").tolist()
