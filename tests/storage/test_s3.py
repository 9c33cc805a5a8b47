from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kneighbors.errors import StorageError
from kneighbors.storage import Address, open_store
from kneighbors.storage.s3 import RANGE_BYTES, S3Store

WINES = Address.parse("s3://wines")


@pytest.fixture
def store(s3: Any) -> S3Store:
    return S3Store("wines")


@pytest.mark.parametrize(
    "key",
    [
        "plain",
        "a/b/c.npy",
        "two words",
        "ü/漢字",
        "a+b&c=d?e#f",
        "100%25",
        "-rf",
        "x" * 1024,
        "a'\"*~",
    ],
)
def test_what_is_put_under_any_key_is_what_others_read(store: S3Store, s3: Any, key: str) -> None:
    address = WINES / key
    store.put(address, b"0123456789")
    assert s3.get_object(Bucket="wines", Key=key)["Body"].read() == b"0123456789"
    assert store.exists(address)
    assert store.size(address) == 10
    assert store.read(address) == b"0123456789"
    assert store.read(address, 3, 5) == b"34"
    assert [entry.address for entry in store.list(WINES)] == [address]
    store.delete(address)
    assert not store.exists(address)


def test_an_empty_object_is_an_object(store: S3Store, tmp_path: Path) -> None:
    store.put(WINES / "empty", b"")
    assert store.exists(WINES / "empty")
    assert store.read(WINES / "empty") == b""
    with store.open_read(WINES / "empty") as file:
        assert file.read() == b""
    assert store.download(WINES / "empty", tmp_path / "empty") == 0
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("size", [1, RANGE_BYTES, 3 * RANGE_BYTES + 17])
def test_a_file_goes_up_and_comes_down_unchanged(
    store: S3Store, s3: Any, tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    (tmp_path / "x").write_bytes(data)
    seen: list[tuple[str, int, int]] = []
    assert store.upload(tmp_path / "x", WINES / "x", lambda *now: seen.append(now)) == size
    assert seen[-1] == ("uploading", size, size)
    assert s3.get_object(Bucket="wines", Key="x")["Body"].read() == data
    seen.clear()
    assert store.download(WINES / "x", tmp_path / "y", lambda *now: seen.append(now)) == size
    assert seen[-1] == ("downloading", size, size)
    assert (tmp_path / "y").read_bytes() == data
    assert s3.list_multipart_uploads(Bucket="wines").get("Uploads", []) == []


def test_a_large_object_is_sent_in_parts(store: S3Store, s3: Any) -> None:
    store.put(WINES / "x", bytes(2 * RANGE_BYTES))
    assert s3.head_object(Bucket="wines", Key="x")["ETag"].endswith('-2"')


def test_an_object_is_read_from_anywhere(store: S3Store) -> None:
    data = os.urandom(2 * RANGE_BYTES + 100)
    store.put(WINES / "x", data)
    with store.open_read(WINES / "x") as file:
        assert file.read(10) == data[:10]
        assert file.seek(-50, os.SEEK_END) == len(data) - 50
        assert file.read() == data[-50:]
        assert file.read() == b""
        file.seek(RANGE_BYTES - 5)
        assert file.read(10) == data[RANGE_BYTES - 5 : RANGE_BYTES + 5]
        file.seek(5, os.SEEK_CUR)
        assert file.tell() == RANGE_BYTES + 10
        assert file.read() == data[RANGE_BYTES + 10 :]


def test_keys_are_listed_in_the_order_of_their_bytes(store: S3Store, s3: Any) -> None:
    names = ["a/b", "a-b", "a.b", "B", "a/c/d", "ä", "a0", "10", "9", "z/é", "z/z"]
    for name in names:
        s3.put_object(Bucket="wines", Key=f"many/{name}", Body=name.encode())
    s3.put_object(Bucket="wines", Key="many-more", Body=b"")
    entries = list(store.list(WINES / "many"))
    assert [entry.address.key for entry in entries] == [
        f"many/{name}" for name in sorted(names, key=str.encode)
    ]


def test_marks_of_directories_are_no_objects(store: S3Store, s3: Any) -> None:
    for key in ("train/", "train/a/", "train/a/x", "train/a-b", "train/zero"):
        s3.put_object(Bucket="wines", Key=key, Body=b"")
    assert [e.address.key for e in store.list(WINES / "train/")] == [
        "train/a-b",
        "train/a/x",
        "train/zero",
    ]


def test_a_prefix_is_a_whole_name(store: S3Store, s3: Any) -> None:
    s3.put_object(Bucket="wines", Key="train-old/x", Body=b"")
    assert list(store.list(WINES / "train")) == []
    assert not store.exists(WINES / "train/")
    assert store.exists(WINES / "train-old/")
    assert not store.exists(WINES / "train-old")


def test_an_object_that_no_client_can_name_is_refused(store: S3Store, s3: Any) -> None:
    s3.put_object(Bucket="wines", Key="a/../b", Body=b"")
    with pytest.raises(StorageError) as caught:
        list(store.list(WINES))
    assert caught.value.code == "storage-address"


@pytest.mark.parametrize("call", ["size", "read", "open_read"])
def test_a_missing_key_and_a_missing_bucket_are_told_apart(s3: Any, call: str) -> None:
    for text, words in (
        ("s3://wines/none.npy", "Expected an object, found nothing."),
        ("s3://no-such-bucket/x.npy", "There is no such bucket."),
    ):
        address = Address.parse(text)
        with pytest.raises(StorageError) as caught:
            getattr(open_store(address), call)(address)
        assert caught.value.code == "storage-missing"
        assert words in str(caught.value)
        assert "s3://" + address.bucket in str(caught.value)


def test_nothing_goes_into_a_missing_bucket(s3: Any, tmp_path: Path) -> None:
    address = Address.parse("s3://no-such-bucket/x")
    (tmp_path / "x").write_bytes(bytes(2 * RANGE_BYTES))
    calls: list[Any] = [
        lambda: open_store(address).put(address, b"x"),
        lambda: open_store(address).upload(tmp_path / "x", address),
        lambda: list(open_store(address).list(address)),
        lambda: open_store(address).delete(address),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="no such bucket") as caught:
            call()
        assert caught.value.code == "storage-missing"


def test_a_failed_download_leaves_nothing(store: S3Store, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="found nothing"):
        store.download(WINES / "none", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_prefix_is_no_object(store: S3Store, s3: Any) -> None:
    s3.put_object(Bucket="wines", Key="train", Body=b"an object of the same name")
    for address in (WINES, WINES / "train/"):
        for call in (store.size, store.read, store.delete, store.open_read):
            with pytest.raises(StorageError, match="got a prefix"):
                call(address)
        with pytest.raises(StorageError, match="got a prefix"):
            store.put(address, b"x")
    assert store.exists(WINES / "train")


def test_a_read_beyond_the_end_is_refused(store: S3Store) -> None:
    store.put(WINES / "x", b"0123")
    with pytest.raises(StorageError) as caught:
        store.read(WINES / "x", 2, 6)
    assert caught.value.code == "storage-truncated"
    assert "bytes 2 to 6, got an object of 4" in str(caught.value)


def test_a_missing_file_is_not_uploaded(store: S3Store, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        store.upload(tmp_path / "none", WINES / "x")
    assert caught.value.code == "storage-missing"
    assert str(tmp_path / "none") in str(caught.value)
    assert not store.exists(WINES / "x")
