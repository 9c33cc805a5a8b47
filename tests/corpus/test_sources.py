from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from kneighbors.corpus import read_corpus
from kneighbors.errors import KNeighborsError
from support.storage_files import without_privileges

X = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)


def refused(address: Path | str, **options: Any) -> KNeighborsError:
    with pytest.raises(KNeighborsError) as caught:
        read_corpus(address, **options)
    return caught.value


def write_parts(folder: Path, kind: str, rows: dict[str, slice]) -> None:
    """Write rows of `X`, with ids and names, into files of one kind."""
    for name, part in rows.items():
        path = folder / f"{name}.{kind}"
        path.parent.mkdir(exist_ok=True, parents=True)
        ids = [f"w{n}" for n in range(12)][part]
        if kind == "npy":
            np.save(path, X[part])
        elif kind == "npz":
            np.savez(path, vectors=X[part], ids=np.array(ids))
        elif kind == "parquet":
            values = pa.array(X[part].tolist(), pa.list_(pa.float32()))
            parquet.write_table(pa.table({"id": ids, "v": values}), path)
        else:
            rows = X[part].tolist()
            lines = [f"{i},{','.join(map(repr, row))}\n" for i, row in zip(ids, rows, strict=True)]
            data = ("id,d0,d1,d2\n" + "".join(lines)).encode()
            path.write_bytes(gzip.compress(data) if kind == "csv.gz" else data)


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet", "csv", "csv.gz"])
def test_files_of_a_directory_are_read_in_the_order_of_their_names(
    tmp_path: Path, kind: str
) -> None:
    parts = {"a/2": slice(2, 3), "b": slice(6, 12), "a-0": slice(0, 2), "a/3": slice(3, 6)}
    write_parts(tmp_path, kind, parts)
    seen: list[tuple[str, int, int]] = []
    corpus = read_corpus(tmp_path, progress=lambda *now: seen.append(now))
    np.testing.assert_array_equal(corpus.X.astype(np.float32), X)
    assert corpus.X.flags.c_contiguous
    if kind != "npy":
        assert corpus.ids is not None
        assert corpus.ids.to_pylist() == [f"w{n}" for n in range(12)]
    names = [os.path.relpath(source["name"], tmp_path) for source in corpus.sources]
    assert names == [f"a-0.{kind}", f"a/2.{kind}", f"a/3.{kind}", f"b.{kind}"]
    assert [source["rows"] for source in corpus.sources] == [2, 1, 3, 6]
    total = sum(source["bytes"] for source in corpus.sources)
    assert seen[-1] == ("reading", total, total)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_a_directory_of_one_array_is_mapped_as_the_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "_SUCCESS").touch()
    assert isinstance(read_corpus(tmp_path).X, np.memmap)
    assert isinstance(read_corpus(tmp_path.as_uri()).X, np.memmap)


def test_hidden_files_and_marks_are_passed_over(tmp_path: Path) -> None:
    write_parts(tmp_path, "csv", {"part-0": slice(0, 12)})
    for name in ("_SUCCESS", ".part-0.csv.crc", "_old/x.npy", ".git/x", "_committed_1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nothing to read")
    assert len(read_corpus(tmp_path).X) == 12


def test_plain_and_compressed_text_are_of_one_kind(tmp_path: Path) -> None:
    write_parts(tmp_path, "csv", {"a": slice(0, 6)})
    write_parts(tmp_path, "csv.gz", {"b": slice(6, 12)})
    np.testing.assert_array_equal(read_corpus(tmp_path).X.astype(np.float32), X)


def test_types_of_several_files_become_the_widest(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X[:4])
    np.save(tmp_path / "b.npy", X[4:8].astype(np.float64) + 1e-12)
    np.save(tmp_path / "c.npy", (X[8:] * 9).astype(np.int8))
    read = read_corpus(tmp_path).X
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read[:4], X[:4])
    np.testing.assert_array_equal(read[4:8], X[4:8].astype(np.float64) + 1e-12)
    np.testing.assert_array_equal(read[8:], (X[8:] * 9).astype(np.int8))
    assert read_corpus(tmp_path, dtype="float32").X.dtype == np.float32


def test_mixed_kinds_are_refused_by_name(tmp_path: Path) -> None:
    write_parts(tmp_path, "csv", {"items": slice(0, 12)})
    write_parts(tmp_path, "npy", {"vectors": slice(0, 12)})
    error = refused(tmp_path)
    assert error.code == "corpus-mixed"
    assert str(tmp_path / "items.csv") in str(error)
    assert str(tmp_path / "vectors.npy") in str(error)


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet", "csv"])
def test_files_of_another_width_are_refused_by_both_names(tmp_path: Path, kind: str) -> None:
    if kind == "npy":
        np.save(tmp_path / "a.npy", X)
        np.save(tmp_path / "b.npy", X[:, :2])
    elif kind == "npz":
        np.savez(tmp_path / "a.npz", vectors=X)
        np.savez(tmp_path / "b.npz", vectors=X[:, :2])
    elif kind == "parquet":
        for name, values in (("a", X), ("b", X[:, :2])):
            column = pa.array(values.tolist(), pa.list_(pa.float32()))
            parquet.write_table(pa.table({"v": column}), tmp_path / f"{name}.parquet")
    else:
        (tmp_path / "a.csv").write_text("id,v\na,[1 2 3]\n")
        (tmp_path / "b.csv").write_text("id,v\nb,[1 2]\n")
    error = refused(tmp_path)
    assert error.code == "corpus-width"
    assert "3 dimensions" in str(error)
    assert "got 2" in str(error)
    assert str(tmp_path / f"a.{kind}") in str(error)
    assert str(tmp_path / f"b.{kind}") in str(error)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("id,d0,d1\na,1,2\n", "id,d0,d1,price\nb,1,2,3\n", "'price'"),
        ("id,d0,d1\na,1,2\n", "id,d0\nb,1\n", "'d1'"),
        ("id,d0,d1\na,1,2\n", "b,1.5,2\n", "'column_1'"),
        ("u,v\n[1 2],a\n", "u,v\na,[1 2]\n", "got it in others"),
    ],
)
def test_files_with_other_columns_are_refused(
    tmp_path: Path, first: str, second: str, words: str
) -> None:
    (tmp_path / "a.csv").write_text(first)
    (tmp_path / "b.csv").write_text(second)
    error = refused(tmp_path)
    assert error.code == "corpus-schema"
    assert words in str(error)
    assert str(tmp_path / "b.csv") in str(error)


def test_columns_may_come_in_another_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,d0,d1,name\na,1,2,x\n")
    (tmp_path / "b.csv").write_text("name,d1,id,d0\ny,4,b,3\n")
    corpus = read_corpus(tmp_path)
    assert corpus.X.tolist() == [[1, 2], [3, 4]]
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == ["a", "b"]
    assert corpus.items is not None
    assert corpus.items.column("name").to_pylist() == ["x", "y"]


def test_parts_without_rows_are_passed_over(tmp_path: Path) -> None:
    write_parts(tmp_path, "parquet", {"a": slice(0, 0), "b": slice(0, 12), "c": slice(0, 0)})
    corpus = read_corpus(tmp_path)
    np.testing.assert_array_equal(corpus.X, X)
    assert [source["rows"] for source in corpus.sources] == [0, 12, 0]


@pytest.mark.parametrize("name", ["notes.txt", "data", "x.npy.bak", "x.json"])
def test_a_file_of_an_unknown_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text")
    for address in (tmp_path, tmp_path / name):
        error = refused(address)
        assert error.code == "corpus-kind"
        assert str(tmp_path / name) in str(error)
        assert ".npy, .npz, .csv" in str(error)


def test_a_file_that_is_something_else_than_its_name_says_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "x.npy").rename(tmp_path / "x.dat")
    assert "begins as a .npy file does" in str(refused(tmp_path / "x.dat"))


def test_the_end_of_a_name_may_be_in_capitals(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "x.npy").rename(tmp_path / "X.NPY")
    assert len(read_corpus(tmp_path / "X.NPY").X) == 12


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "csv.gz", "parquet", "arrow"])
def test_an_empty_file_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"x.{kind}").touch()
    error = refused(tmp_path / f"x.{kind}")
    assert error.code == "corpus-empty"


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert error.code == "corpus-empty"
    assert str(tmp_path) in str(error)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for address in (tmp_path / "none", tmp_path / "none.npy", f"{tmp_path}/none/"):
        error = refused(address)
        assert error.code == "storage-missing"
        assert str(tmp_path / "none") in str(error)


def test_partitions_are_refused_since_their_values_are_only_in_names(tmp_path: Path) -> None:
    write_parts(tmp_path / "country=France", "parquet", {"a": slice(0, 12)})
    error = refused(tmp_path)
    assert error.code == "corpus-partitioned"
    assert "country=France" in str(error)


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "csv.gz", "parquet"])
@pytest.mark.parametrize(
    "name", ["two words", "ü漢字", "two\nlines", "-rf", "%41", "x" * 240, "a=b"]
)
def test_files_of_any_name_are_read(tmp_path: Path, kind: str, name: str) -> None:
    write_parts(tmp_path, kind, {name: slice(0, 12)})
    path = tmp_path / f"{name}.{kind}"
    np.testing.assert_array_equal(read_corpus(path).X.astype(np.float32), X)
    np.testing.assert_array_equal(read_corpus(tmp_path).X.astype(np.float32), X)
    assert read_corpus(path).sources[0]["name"].isprintable()


def test_a_name_that_is_no_unicode_is_read(tmp_path: Path) -> None:
    for kind in ("npy", "csv", "parquet", "npz"):
        write_parts(tmp_path, kind, {"x": slice(0, 12)})
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff." + kind.encode()))
        (tmp_path / f"x.{kind}").rename(path)
        np.testing.assert_array_equal(read_corpus(path).X.astype(np.float32), X)


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "csv.gz", "parquet"])
def test_a_file_without_permission_is_forbidden(tmp_path: Path, kind: str) -> None:
    write_parts(tmp_path, kind, {"x": slice(0, 12)})
    path = tmp_path / f"x.{kind}"
    path.chmod(0)
    with without_privileges():
        error = refused(path)
    assert error.code == "storage-forbidden"
    assert str(path) in str(error)


def test_a_read_only_file_is_read(tmp_path: Path) -> None:
    write_parts(tmp_path, "npy", {"x": slice(0, 12)})
    (tmp_path / "x.npy").chmod(0o444)
    np.testing.assert_array_equal(read_corpus(tmp_path / "x.npy").X, X)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    assert refused(tmp_path).code == "storage-not-a-file"
    assert refused(tmp_path / "x.csv").code == "storage-not-a-file"
    (tmp_path / "y.csv").touch()
    assert refused(f"{tmp_path}/y.csv/").code == "storage-not-a-directory"
