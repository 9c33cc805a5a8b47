from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kneighbors.corpus import read_corpus
from kneighbors.corpus.labels import labels_of
from kneighbors.corpus.roles import Wanted
from kneighbors.errors import KNeighborsError
from kneighbors.items.textual import narrowed

Write = Callable[[str | bytes], Path]


def column(*values: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


@pytest.mark.parametrize(
    ("cells", "expected", "kind"),
    [
        (["1", "-2", None], [1, -2, None], pa.int64()),
        (["0", "10"], [0, 10], pa.int64()),
        (["007", "8"], ["007", "8"], pa.string()),
        (["-0", "1"], [0.0, 1.0], pa.float64()),
        (["1.5", "2", "-3e-2"], [1.5, 2.0, -0.03], pa.float64()),
        (["1.", "2"], ["1.", "2"], pa.string()),
        (["+1", "2"], ["+1", "2"], pa.string()),
        (["9223372036854775808"], ["9223372036854775808"], pa.string()),
        (["true", "false", None], [True, False, None], pa.bool_()),
        (["True", "False"], ["True", "False"], pa.string()),
        (["nan", "1"], ["nan", "1"], pa.string()),
        (["1", ""], ["1", ""], pa.string()),
        ([None, None], [None, None], pa.string()),
        (["2020-01-01"], ["2020-01-01"], pa.string()),
        (["1_000"], ["1_000"], pa.string()),
        (["1\n"], ["1\n"], pa.string()),
    ],
)
def test_a_column_of_text_becomes_what_all_its_cells_say(
    cells: list[str | None], expected: list[object], kind: pa.DataType
) -> None:
    found = narrowed(column(*cells))
    assert (found.type, found.to_pylist()) == (kind, expected)


@pytest.mark.parametrize(
    ("values", "is_id"),
    [
        (["a", "b", "c"], True),
        ([1, 2, 3], True),
        (["a", "b", "a"], False),
        (["a", None, "c"], False),
        ([1.5, 2.5, 3.5], False),
        ([True, False, None], False),
    ],
)
@pytest.mark.parametrize("name", ["id", "ids"])
def test_a_column_named_id_is_the_id_if_it_can_be(
    values: list[object], is_id: bool, name: str
) -> None:
    ids, items = labels_of([pa.table({name: values})], [3], Wanted(), False)
    if is_id:
        assert ids is not None
        assert ids.to_pylist() == values
        assert items is None
    else:
        assert ids is None
        assert items is not None
        assert items.column_names == [name]


def test_a_dictionary_of_texts_can_be_ids() -> None:
    table = pa.table({"id": pa.array(["a", "b", "c"]).dictionary_encode()})
    ids, _ = labels_of([table, pa.table({"id": ["d"]}).cast(table.schema)], [3, 1], Wanted(), False)
    assert ids is not None
    assert ids.type == pa.string()
    assert ids.to_pylist() == ["a", "b", "c", "d"]


def test_an_id_goes_before_ids_and_both_before_an_index() -> None:
    table = pa.table({"Unnamed: 0": [7, 8], "ids": [1, 2], "id": ["a", "b"]})
    ids, items = labels_of([table], [2], Wanted(), False)
    assert ids is not None
    assert ids.to_pylist() == ["a", "b"]
    assert items is not None
    assert items.column_names == ["Unnamed: 0", "ids"]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1", "__index_level_0__"])
@pytest.mark.parametrize(
    ("values", "rows_of_files", "outcome"),
    [
        ([0, 1, 2, 3], [4], "left out"),
        ([0, 1, 2, 3], [2, 2], "left out"),
        ([0, 1, 0, 1], [2, 2], "left out"),
        ([0, 1, 0, 1], [4], "item"),
        ([4, 5, 9, 6], [4], "ids"),
        ([1, 2, 3, 4], [4], "ids"),
        ([4, 5, 5, 6], [4], "item"),
        ([0, 1, None, 3], [4], "item"),
    ],
)
def test_an_index_of_pandas_is_left_out_if_it_only_numbers_the_rows(
    name: str, values: list[int], rows_of_files: list[int], outcome: str
) -> None:
    ids, items = labels_of([pa.table({name: values})], rows_of_files, Wanted(), False)
    assert (ids is not None) == (outcome == "ids")
    assert (items is not None) == (outcome == "item")
    assert items is None or items.column_names == [name or "index"]


def test_a_comma_at_the_end_of_every_line_is_no_column(csv: Write) -> None:
    corpus = read_corpus(csv("d0,d1,\n1,2,\n3,4,\n"))
    assert corpus.X.tolist() == [[1, 2], [3, 4]]
    assert corpus.items is None


@pytest.mark.parametrize(
    ("cells", "code"),
    [(["a", "a"], "ids-doubled"), (["a", ""], "ids-null"), (["0.5", "1.5"], "ids-type")],
)
def test_a_column_that_was_asked_for_must_be_ids(csv: Write, cells: list[str], code: str) -> None:
    path = csv("w,d0,d1\n" + "".join(f"{cell},1,2\n" for cell in cells))
    with pytest.raises(KNeighborsError) as caught:
        read_corpus(path, id_column="w")
    assert caught.value.code == code


def test_types_are_found_over_all_blocks_and_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("d0,d1,code,n\n" + "1,2,10,1\n" * 1000)
    (tmp_path / "b.csv").write_text("d0,d1,code,n\n" + "1,2,10,1\n" * 1000 + "1,2,x,2\n")
    items = read_corpus(tmp_path).items
    assert items is not None
    assert items.schema.types == [pa.string(), pa.int64()]


def test_types_that_do_not_go_together_are_refused() -> None:
    batches = [pa.table({"a": [1]}), pa.table({"a": ["x"]})]
    with pytest.raises(KNeighborsError) as caught:
        labels_of(batches, [1, 1], Wanted(), False)
    assert caught.value.code == "corpus-schema"


def test_integers_of_two_widths_go_together() -> None:
    batches = [pa.table({"a": pa.array([1], pa.int16())}), pa.table({"a": [2**40]})]
    _, items = labels_of(batches, [1, 1], Wanted(), False)
    assert items is not None
    assert items.column("a").to_pylist() == [1, 2**40]


def test_large_integers_stay_exact(csv: Write) -> None:
    corpus = read_corpus(csv(f"id,d0,d1\n{2**53 + 1},1,2\n{2**53},1,2\n"))
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == [2**53 + 1, 2**53]
    assert corpus.X.dtype == np.float64
