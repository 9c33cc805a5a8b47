from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from kneighbors.corpus import read_corpus
from kneighbors.errors import KNeighborsError
from support.storage_files import files_no_larger_than
from support.storage_servers import Answer, Asked, ScriptedServer, part_of, refusal, use_endpoint

X = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the directory for temporary files, which belongs to this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def table(ids: list[str], values: Any) -> bytes:
    column = pa.array(values.tolist(), pa.list_(pa.float32()))
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"id": ids, "v": column}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_comes_from_s3_into_memory(s3: Any, temporary: Path, order: Any) -> None:
    s3.put_object(Bucket="wines", Key="a b/ü.npy", Body=npy(np.array(X, order=order)))
    seen: list[tuple[str, int, int]] = []
    corpus = read_corpus("s3://wines/a b/ü.npy", progress=lambda *now: seen.append(now))
    np.testing.assert_array_equal(corpus.X, X)
    assert not isinstance(corpus.X, np.memmap)
    assert corpus.X.flags.c_contiguous
    size = len(npy(X))
    assert seen[0] == ("downloading", size, size)
    assert seen[-1] == ("reading", size, size)
    assert corpus.sources[0]["name"] == "s3://wines/a b/ü.npy"
    assert list(temporary.iterdir()) == []


def test_a_prefix_is_read_in_the_order_of_its_keys(s3: Any, temporary: Path) -> None:
    ids = [f"w{n}" for n in range(12)]
    parts = {"train/a/2": slice(4, 6), "train/a-1": slice(0, 4), "train/b": slice(6, 12)}
    for key, part in parts.items():
        s3.put_object(Bucket="wines", Key=f"{key}.parquet", Body=table(ids[part], X[part]))
    for key in ("train/", "train/a/", "train/_SUCCESS", "train/.hidden", "train/empty/"):
        s3.put_object(Bucket="wines", Key=key, Body=b"")
    s3.put_object(Bucket="wines", Key="train.csv", Body=b"another one")
    for address in ("s3://wines/train", "s3://wines/train/"):
        seen: list[tuple[str, int, int]] = []
        corpus = read_corpus(address, progress=lambda *now, seen=seen: seen.append(now))
        np.testing.assert_array_equal(corpus.X, X)
        assert corpus.ids is not None
        assert corpus.ids.to_pylist() == ids
        assert [source["name"] for source in corpus.sources] == [
            "s3://wines/train/a-1.parquet",
            "s3://wines/train/a/2.parquet",
            "s3://wines/train/b.parquet",
        ]
        for stage in ("downloading", "reading"):
            done = [now[1] for now in seen if now[0] == stage]
            assert done == sorted(done)
            assert (stage, done[-1], done[-1]) in seen
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://wines/none.npy", "found neither"),
        ("s3://wines/none/", "found neither"),
        ("s3://no-such-bucket/x.npy", "no such bucket"),
        ("s3://no-such-bucket", "no such bucket"),
    ],
)
def test_what_is_not_there_is_named(s3: Any, address: str, words: str) -> None:
    with pytest.raises(KNeighborsError) as caught:
        read_corpus(address)
    assert caught.value.code == "storage-missing"
    assert words in str(caught.value)
    assert address in str(caught.value)


def test_a_fault_is_named_by_the_address_and_nothing_is_left(s3: Any, temporary: Path) -> None:
    s3.put_object(Bucket="wines", Key="x.csv", Body=b"d0,d1\n1,2\n3,oops\n")
    with pytest.raises(KNeighborsError) as caught:
        read_corpus("s3://wines/x.csv")
    assert caught.value.where == "s3://wines/x.csv, line 3, column 2 ('d1')"
    assert list(temporary.iterdir()) == []


def test_a_forbidden_object_says_which_credentials_were_tried(
    monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    with ScriptedServer(lambda asked: refusal(403, "AccessDenied")) as server:
        use_endpoint(monkeypatch, server.url)
        with pytest.raises(KNeighborsError) as caught:
            read_corpus("s3://wines/x.npy")
    assert caught.value.code == "storage-forbidden"
    assert "AWS_ACCESS_KEY_ID (set)" in str(caught.value)
    assert "never-shown" not in str(caught.value)


def test_a_download_that_breaks_off_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    data = npy(X)

    def answer(asked: Asked) -> Answer:
        whole = part_of(data, asked)
        whole.breaks_after = 10 if asked.method == "GET" else None
        return whole

    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url)
        with pytest.raises(KNeighborsError) as caught:
            read_corpus("s3://wines/x.npy")
    assert caught.value.code == "storage-truncated"
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_named_and_nothing_is_left(s3: Any, temporary: Path) -> None:
    s3.put_object(Bucket="wines", Key="x.npy", Body=npy(np.zeros((100, 100))))
    with files_no_larger_than(1000), pytest.raises(KNeighborsError) as caught:
        read_corpus("s3://wines/x.npy")
    assert caught.value.code == "storage-full"
    assert str(temporary) in str(caught.value)
    assert list(temporary.iterdir()) == []
