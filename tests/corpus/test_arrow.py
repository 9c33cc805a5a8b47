from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from kneighbors.corpus import arrow_file, read_corpus
from kneighbors.errors import KNeighborsError

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((50, 4)).astype(np.float32)
IDS = [f"w{n}" for n in range(50)]


def as_parquet(table: pa.Table, folder: Path, **options: Any) -> Path:
    parquet.write_table(table, folder / "x.parquet", **options)
    return folder / "x.parquet"


def as_feather(table: pa.Table, folder: Path) -> Path:
    feather.write_feather(table, folder / "x.feather", compression="zstd", chunksize=13)
    return folder / "x.feather"


def as_stream(table: pa.Table, folder: Path) -> Path:
    path = str(folder / "x.arrows")
    with pa.OSFile(path, "w") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=13)
    return folder / "x.arrows"


WRITERS = [as_parquet, as_feather, as_stream]


def refused(path: Path, **options: Any) -> KNeighborsError:
    with pytest.raises(KNeighborsError) as caught:
        read_corpus(path, **options)
    assert str(path) in str(caught.value)
    return caught.value


def lists(values: Any, kind: pa.DataType) -> pa.Array:
    return pa.array(values.tolist(), kind)


@pytest.fixture(params=WRITERS, ids=lambda writer: writer.__name__)
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return lambda table: request.param(table, tmp_path)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (pa.list_(pa.float32()), "f4"),
        (pa.list_(pa.float64()), "f8"),
        (pa.list_(pa.float32(), 4), "f4"),
        (pa.large_list(pa.float32()), "f4"),
        (pa.list_(pa.float16()), "f4"),
        (pa.list_(pa.int8()), "f4"),
        (pa.list_(pa.int64()), "f8"),
    ],
    ids=str,
)
def test_a_column_of_lists_is_the_vector(write: Any, kind: pa.DataType, kept: str) -> None:
    numbers = X if pa.types.is_floating(kind.value_type) else (X * 20).astype(np.int8)
    numbers = numbers.astype(kind.value_type.to_pandas_dtype())
    values = pa.array([row.tolist() for row in numbers.astype(float)], pa.list_(pa.float64()))
    column = lists(numbers, kind) if kind.value_type != pa.float16() else values.cast(kind)
    corpus = read_corpus(write(pa.table({"id": IDS, "v": column, "price": np.arange(50)})))
    assert corpus.X.dtype == np.dtype(kept)
    np.testing.assert_array_equal(corpus.X, numbers)
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == IDS
    assert corpus.items is not None
    assert corpus.items.to_pydict() == {"price": list(range(50))}


def test_a_tensor_is_the_vector(write: Any) -> None:
    tensor = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), (4,)), lists(X, pa.list_(pa.float32(), 4))
    )
    np.testing.assert_array_equal(read_corpus(write(pa.table({"v": tensor}))).X, X)


def test_a_tensor_of_two_dimensions_is_refused(write: Any) -> None:
    tensor = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), (2, 2)), lists(X, pa.list_(pa.float32(), 4))
    )
    assert refused(write(pa.table({"v": tensor}))).code == "corpus-shape"


@pytest.mark.parametrize(
    ("kinds", "kept"),
    [
        (["f4"] * 40, "f4"),
        (["f4", "f8"] * 20, "f8"),
        (["f2", "i2"] * 20, "f4"),
        (["f4", "i4"] * 20, "f8"),
        (["i8"] * 40, "f8"),
    ],
)
def test_columns_of_one_dimension_each_are_the_vector(
    write: Any, kinds: list[str], kept: str
) -> None:
    values = RANDOM.integers(-100, 100, (50, 40))
    columns = {f"d{n}": values[:, n].astype(kind) for n, kind in enumerate(kinds)}
    table = pa.table({"id": IDS, "price": np.ones(50), **columns, "note": ["x"] * 50})
    corpus = read_corpus(write(table))
    assert corpus.X.dtype == np.dtype(kept)
    np.testing.assert_array_equal(corpus.X, values)
    assert corpus.items is not None
    assert corpus.items.column_names == ["price", "note"]


def test_dimensions_are_put_in_the_order_of_their_numbers(write: Any) -> None:
    table = pa.table({f"d{n}": X[:, n] for n in (2, 0, 3, 1)})
    np.testing.assert_array_equal(read_corpus(write(table)).X, X)
    corpus = read_corpus(write(table), columns=["d3", "d1"])
    np.testing.assert_array_equal(corpus.X, X[:, [3, 1]])
    assert corpus.items is not None
    assert corpus.items.column_names == ["d2", "d0"]


def test_vectors_as_text_are_read_too(write: Any) -> None:
    texts = [str(row.tolist()) for row in X]
    corpus = read_corpus(write(pa.table({"id": IDS, "review_vector": texts})))
    np.testing.assert_array_equal(corpus.X.astype(np.float32), X)
    texts[33] = "[1, x, 3, 4]"
    path = write(pa.table({"id": IDS, "v": texts}))
    error = refused(path)
    assert error.code == "corpus-not-a-number"
    assert error.where == f"{path}, column 'v', row 33"


def test_attributes_keep_their_types(write: Any) -> None:
    table = pa.table(
        {
            "v": lists(X, pa.list_(pa.float32())),
            "country": pa.array(["France", "Italy"] * 25).dictionary_encode(),
            "when": pa.array(np.arange(50), pa.timestamp("ms")),
            "terms": pa.array([["a", "b"], []] * 25),
            "flag": pa.array([True, None] * 25),
            "year": pa.array(range(50), pa.int16()),
        }
    )
    corpus = read_corpus(write(table))
    assert corpus.items is not None
    corpus.items.validate(full=True)
    expected = table.drop_columns(["v"])
    assert corpus.items.schema.types == expected.schema.types
    assert corpus.items.to_pydict() == expected.to_pydict()


def test_lists_of_floats_go_before_lists_of_integers(write: Any) -> None:
    tags = pa.array([[1], [2, 3]] * 25, pa.list_(pa.int64()))
    corpus = read_corpus(write(pa.table({"tags": tags, "v": lists(X, pa.list_(pa.float32()))})))
    np.testing.assert_array_equal(corpus.X, X)
    assert corpus.items is not None
    assert corpus.items.column_names == ["tags"]


def test_a_series_goes_before_lists_of_integers_and_not_before_lists_of_floats(write: Any) -> None:
    columns = {f"d{n}": X[:, n] for n in range(4)}
    tags = pa.array([[1], [2, 3]] * 25, pa.list_(pa.int64()))
    np.testing.assert_array_equal(read_corpus(write(pa.table({"tags": tags, **columns}))).X, X)
    table = pa.table({"v": lists(-X, pa.list_(pa.float32())), **columns})
    error = refused(write(table))
    assert error.code == "corpus-columns"
    assert "'v' and 'd0' to 'd3'" in str(error)
    np.testing.assert_array_equal(read_corpus(write(table), columns="d").X, X)
    np.testing.assert_array_equal(read_corpus(write(table), vector_column="v").X, -X)


def test_several_vectors_are_refused_unless_one_is_named(write: Any) -> None:
    column = lists(X, pa.list_(pa.float32()))
    table = pa.table({"u": column, "v": column})
    error = refused(write(table))
    assert error.code == "corpus-columns"
    assert "'u', 'v'" in str(error)
    np.testing.assert_array_equal(read_corpus(write(table), vector_column="v").X, X)


@pytest.mark.parametrize(
    ("column", "code", "words"),
    [
        ([[1.0, 2.0], [1.0]], "corpus-ragged", "2 numbers, got one of 1. At {}, column 'v', row 1"),
        ([[1.0, 2.0], None], "corpus-null", "column 'v', row 1."),
        ([[1.0, 2.0], [3.0, None]], "corpus-null", "row 1, number 2"),
        ([[], []], "corpus-ragged", "at least one"),
    ],
)
def test_a_row_that_is_no_vector_is_named(
    write: Any, column: list[Any], code: str, words: str
) -> None:
    path = write(pa.table({"v": pa.array(column, pa.list_(pa.float64()))}))
    error = refused(path)
    assert error.code == code
    assert words.format(path) in str(error)


def test_the_row_is_right_however_far_down(write: Any) -> None:
    values = [[1.0, 2.0]] * 7_001 + [[1.0, None]] + [[3.0, 4.0]] * 10
    path = write(pa.table({"v": pa.array(values, pa.list_(pa.float64()))}))
    assert refused(path).where == f"{path}, column 'v', row 7001, number 2"
    column = pa.array([1.0] * 7_001 + [None] + [2.0] * 10)
    path = write(pa.table({"d0": [1.0] * 7_012, "d1": column}))
    assert refused(path).where == f"{path}, column 'd1', row 7001"


@pytest.mark.parametrize(
    ("kind", "named"),
    [(pa.list_(pa.string()), "list"), (pa.bool_(), "bool"), (pa.decimal128(5, 2), "decimal")],
)
def test_a_column_of_another_type_is_refused_by_its_type(
    write: Any, kind: pa.DataType, named: str
) -> None:
    path = write(pa.table({"v": pa.array([None], kind).fill_null(_some(kind))}))
    error = refused(path, vector_column="v")
    assert error.code == "corpus-dtype"
    assert named in str(error)


def _some(kind: pa.DataType) -> pa.Scalar:
    values: dict[str, Any] = {"list": ["a"], "bool": True, "decimal": 1}
    return pa.scalar(values[str(kind).partition("<")[0].partition("128")[0]], kind)


def test_what_pandas_writes_comes_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": IDS, "vector": list(X)}, index=np.arange(50) * 2)
    frame.to_parquet(tmp_path / "x.parquet")
    corpus = read_corpus(tmp_path / "x.parquet")
    np.testing.assert_array_equal(corpus.X, X)
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == list(range(0, 100, 2))
    assert corpus.items is not None
    assert corpus.items.column_names == ["name"]

    frame.reset_index(drop=True).to_parquet(tmp_path / "x.parquet")
    corpus = read_corpus(tmp_path / "x.parquet")
    assert corpus.ids is None

    frame = pd.DataFrame(X, columns=[str(n) for n in range(4)])
    frame.to_parquet(tmp_path / "x.parquet", index=True)
    np.testing.assert_array_equal(read_corpus(tmp_path / "x.parquet").X, X)


@pytest.mark.parametrize("kind", ["parquet", "ipc"])
def test_what_polars_writes_comes_back(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame({"id": IDS, "v": X, "name": [f"n{n}" for n in range(50)]})
    path = tmp_path / f"x.{kind}"
    getattr(frame, f"write_{kind}")(path)
    corpus = read_corpus(path, id_column="id")
    np.testing.assert_array_equal(corpus.X, X)
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == IDS
    assert corpus.items is not None
    assert corpus.items.column("name").to_pylist() == frame["name"].to_list()


def test_names_with_dots_are_names(tmp_path: Path) -> None:
    table = pa.table({"v": lists(X, pa.list_(pa.float32())), "v.1": IDS, "a.b": np.arange(50)})
    corpus = read_corpus(as_parquet(table, tmp_path))
    assert corpus.items is not None
    assert corpus.items.column_names == ["v.1", "a.b"]


def test_row_groups_and_batches_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_file, "_BATCH_ROWS", 7)
    table = pa.table({"v": lists(X, pa.list_(pa.float32())), "n": np.arange(50)})
    for size in (1, 7, 10, 50):
        corpus = read_corpus(as_parquet(table, tmp_path, row_group_size=size))
        np.testing.assert_array_equal(corpus.X, X)
        assert corpus.items is not None
        assert corpus.items.column("n").to_pylist() == list(range(50))
    columns = pa.table({f"d{n}": X[:, n] for n in range(4)})
    np.testing.assert_array_equal(
        read_corpus(as_parquet(columns, tmp_path, row_group_size=10)).X, X
    )


def test_attributes_do_not_depend_on_the_file_afterwards(tmp_path: Path) -> None:
    table = pa.table({"v": lists(X, pa.list_(pa.float32())), "name": IDS})
    feather.write_feather(table, tmp_path / "x.feather", compression="uncompressed")
    corpus = read_corpus(tmp_path / "x.feather")
    (tmp_path / "x.feather").write_bytes(b"")
    assert corpus.items is not None
    assert corpus.items.column("name").to_pylist() == IDS
    np.testing.assert_array_equal(corpus.X, X)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, writer: Any) -> None:
    path = writer(pa.table({"id": IDS, "v": lists(X, pa.list_(pa.float32()))}), tmp_path)
    whole = path.read_bytes()
    size = len(whole)
    for length in [*range(1, 40), *range(40, size - 12, 41), *range(size - 12, size)]:
        path.write_bytes(whole[:length])
        assert refused(path).code in ("corpus-damaged", "corpus-truncated", "corpus-empty")


def test_a_changed_byte_never_kills_the_process(tmp_path: Path) -> None:
    table = pa.table({"id": IDS, "v": lists(X, pa.list_(pa.float32()))})
    random = np.random.default_rng(7)
    for writer in WRITERS:
        path = writer(table, tmp_path)
        whole = path.read_bytes()
        for position in random.integers(0, len(whole), 150).tolist():
            changed = bytearray(whole)
            changed[position] ^= 1 << int(random.integers(8))
            path.write_bytes(changed)
            try:
                X_read = read_corpus(path).X
            except KNeighborsError:
                continue
            assert X_read.ndim == 2


def test_a_damaged_page_is_noticed_by_its_checksum(tmp_path: Path) -> None:
    table = pa.table({"v": lists(X, pa.list_(pa.float32()))})
    path = as_parquet(
        table, tmp_path, compression="none", use_dictionary=False, write_page_checksum=True
    )
    data = bytearray(path.read_bytes())
    data[data.index(X[10].tobytes())] ^= 1
    path.write_bytes(data)
    assert refused(path).code == "corpus-damaged"


@pytest.mark.parametrize("suffix", ["parquet", "feather", "arrow"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    for data in (b"a", b"text,that,is,no,table\n1,2,3,4,5\n", b"\xff\xff\xff\xff", bytes(1000)):
        path.write_bytes(data)
        assert refused(path).code in ("corpus-damaged", "corpus-truncated")


def test_a_table_without_rows_is_refused(write: Any) -> None:
    table = pa.table({"v": pa.array([], pa.list_(pa.float32()))})
    assert refused(write(table)).code == "corpus-empty"
