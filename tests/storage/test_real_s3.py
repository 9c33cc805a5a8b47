"""What only a server that checks signatures and keeps objects can show: `make test-s3`."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kneighbors.errors import StorageError
from kneighbors.storage import Address
from kneighbors.storage.s3 import S3Store

pytestmark = pytest.mark.skipif(
    os.environ.get("KNEIGHBORS_S3_SERVER") != "ceph",
    reason="moto accepts any signature and has no users: make test-s3",
)

WINES = Address.parse("s3://wines")


def test_a_wrong_secret_key_is_refused(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    S3Store("wines").put(WINES / "a", b"1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(StorageError) as caught:
        S3Store("wines").read(WINES / "a")
    assert caught.value.code == "storage-forbidden"
    assert "another" not in str(caught.value)


def test_a_stranger_may_neither_read_nor_write(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    S3Store("wines").put(WINES / "a", b"1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    store = S3Store("wines")
    for call in (
        lambda: store.read(WINES / "a"),
        lambda: store.put(WINES / "a", b"2"),
        lambda: store.put_if(WINES / "a", b"2", None),
        lambda: list(store.list(WINES)),
    ):
        with pytest.raises(StorageError) as caught:
            call()
        assert caught.value.code == "storage-forbidden"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    assert S3Store("wines").read(WINES / "a") == b"1"


def test_a_bucket_that_can_no_longer_be_written_to_keeps_what_is_there(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    S3Store("wines").put(WINES / "a", b"1")
    allowed = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": ["arn:aws:iam:::user/stranger"]},
                "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
                "Resource": ["arn:aws:s3:::wines", "arn:aws:s3:::wines/*"],
            }
        ],
    }
    s3.put_bucket_policy(Bucket="wines", Policy=json.dumps(allowed))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    store = S3Store("wines")
    tag = store.put_if(WINES / "pointer", b"first", None)
    allowed["Statement"][0]["Action"].remove("s3:PutObject")  # type: ignore[index]
    s3.put_bucket_policy(Bucket="wines", Policy=json.dumps(allowed))
    try:
        with pytest.raises(StorageError) as caught:
            store.put_if(WINES / "pointer", b"second", tag)
        assert caught.value.code == "storage-forbidden"
        assert store.read(WINES / "pointer") == b"first"
    finally:
        s3.delete_bucket_policy(Bucket="wines")


def test_of_many_who_replace_one_version_one_succeeds(s3: Any) -> None:
    store = S3Store("wines")
    tag = store.put_if(WINES / "pointer", b"start", None)

    def replace(number: int) -> str | None:
        try:
            store.put_if(WINES / "pointer", b"%d" % number, tag)
        except StorageError as error:
            return error.code
        return None

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(replace, range(8)))
    assert (outcomes.count(None), outcomes.count("storage-changed")) == (1, 7)
    assert store.read(WINES / "pointer") == b"%d" % outcomes.index(None)


def test_ten_thousand_keys_are_listed_whole_and_in_order(s3: Any) -> None:
    store = S3Store("wines")
    keys = [f"many/{number * 7919 % 10_000:05d}" for number in range(10_000)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(WINES / key, b""), keys))
    found = [entry.address.key for entry in store.list(WINES / "many/")]
    assert found == sorted(keys)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.delete(WINES / key), keys))
    assert list(store.list(WINES / "many/")) == []
