"""S3 on the disk: what was acknowledged is there, whatever happens to the plane."""

from __future__ import annotations

import hashlib
import random
import resource
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kneighbors.local.blobs import Blobs
from kneighbors.local.faults import Fault
from kneighbors.local.moto_inside import load
from kneighbors.local.moto_objects import MotoObjects
from kneighbors.local.objects import Objects, split_s3
from kneighbors.local.plane import ACCOUNT, REGION
from support.local_plane import PlaneProcess
from support.server_process import wait_for

BUCKET = "cellar"
#: Of the test whose bucket nobody else writes to.
UPLOADS = "uploads"
Digest = str | None


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[Objects]:
    blobs = Blobs(tmp_path / "objects")
    found = Objects(blobs)
    found.make_bucket(BUCKET)
    yield found
    blobs.close()


def digest(data: bytes) -> Digest:
    return hashlib.sha256(data).hexdigest()


def test_a_file_goes_in_and_comes_out(objects: Objects, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3_000_001)
    (tmp_path / "in").write_bytes(data)
    objects.upload(tmp_path / "in", BUCKET, "a/b")
    objects.download(BUCKET, "a/b", tmp_path / "deep" / "out")
    assert data == (tmp_path / "deep" / "out").read_bytes()
    assert [("a/b", len(data))] == objects.list(BUCKET, "a/")


def test_what_is_done_to_a_download_leaves_the_object_alone(
    objects: Objects, tmp_path: Path
) -> None:
    objects.write(BUCKET, "k", b"oak")
    objects.download(BUCKET, "k", tmp_path / "out")
    with (tmp_path / "out").open("r+b") as file:
        file.write(b"ash")
    assert b"oak" == objects.read(BUCKET, "k")


def test_keys_are_listed_by_prefix_in_order(objects: Objects) -> None:
    for key in ("b", "a%/2", "a%/10", "a_", "ä"):
        objects.write(BUCKET, key, key.encode())
    assert ["a%/10", "a%/2"] == [key for key, _ in objects.list(BUCKET, "a%/")]
    assert ["a%/10", "a%/2", "a_", "b", "ä"] == [key for key, _ in objects.list(BUCKET)]


def test_a_missing_object_is_named(objects: Objects, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="s3://cellar/nothing"):
        objects.read(BUCKET, "nothing")
    with pytest.raises(FileNotFoundError, match="s3://attic"):
        objects.write("attic", "k", b"")


def test_an_address_that_is_none_is_refused() -> None:
    for uri in ("cellar/a", "https://cellar/a", "s3:///a", "s3://"):
        with pytest.raises(Fault, match="s3://bucket/key"):
            split_s3(uri)


def test_files_that_no_object_names_are_removed(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "objects")
    blobs.put_bucket(BUCKET, REGION, 0)
    blobs.put(BUCKET, "k", blobs.keep(b"named"), {})
    blobs.keep(b"a stray")
    blobs.close()
    blobs = Blobs(tmp_path / "objects")
    files = [path for path in (tmp_path / "objects" / "data").rglob("*") if path.is_file()]
    assert [b"named"] == [path.read_bytes() for path in files]
    blobs.close()


def test_clients_see_what_is_written_from_within(objects: Objects) -> None:
    inside = load(ACCOUNT, REGION)
    try:
        objects.watcher = MotoObjects(inside, objects.blobs, ACCOUNT).changed
        objects.write(BUCKET, "k", b"oak", "text/plain")
        shown = inside.s3.get_object(BUCKET, "k")
        assert (b"oak", "text/plain") == (shown.value, shown.metadata["Content-Type"])
        objects.write(BUCKET, "k", b"cork")
        assert b"cork" == inside.s3.get_object(BUCKET, "k").value
        objects.delete(BUCKET, "k")
        assert inside.s3.get_object(BUCKET, "k") is None
        objects.make_bucket("attic")
        assert "attic" in inside.s3.buckets
    finally:
        inside.s3.reset()


def test_all_that_s3_says_of_an_object_survives_a_crash(plane: PlaneProcess) -> None:
    s3 = plane.client("s3")
    for bucket in ("told", "removed"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(
        Bucket="told",
        Key="a/ö",
        Body=b"oak",
        ContentType="text/x-wine",
        Metadata={"year": "2014"},
        Tagging="kind=red",
    )
    s3.copy_object(Bucket="told", Key="copy", CopySource={"Bucket": "told", "Key": "a/ö"})
    s3.put_object_tagging(
        Bucket="told", Key="copy", Tagging={"TagSet": [{"Key": "kind", "Value": "white"}]}
    )
    s3.put_object(Bucket="told", Key="gone", Body=b"x")
    s3.delete_objects(Bucket="told", Delete={"Objects": [{"Key": "gone"}]})
    s3.delete_bucket(Bucket="removed")
    before = [told(plane, key) for key in ("a/ö", "copy")]
    plane.restart()
    assert before == [told(plane, key) for key in ("a/ö", "copy")]
    found = plane.client("s3").list_objects_v2(Bucket="told")["Contents"]
    assert ["a/ö", "copy"] == [one["Key"] for one in found]
    buckets = [one["Name"] for one in plane.client("s3").list_buckets()["Buckets"]]
    assert "told" in buckets
    assert "removed" not in buckets


def told(plane: PlaneProcess, key: str) -> dict[str, Any]:
    s3 = plane.client("s3")
    found = s3.get_object(Bucket="told", Key=key)
    tags = s3.get_object_tagging(Bucket="told", Key=key)["TagSet"]
    body = found["Body"].read()
    names = ("ETag", "ContentType", "Metadata", "LastModified", "ChecksumCRC32")
    return {name: found.get(name) for name in names} | {"body": body, "tags": tags}


def test_older_versions_can_be_read_while_the_plane_is_up(plane: PlaneProcess) -> None:
    s3 = plane.client("s3")
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    versions = [
        s3.put_object(Bucket="versions", Key="k", Body=body)["VersionId"] for body in (b"1", b"2")
    ]
    s3.delete_object(Bucket="versions", Key="k")
    read = [
        s3.get_object(Bucket="versions", Key="k", VersionId=version)["Body"].read()
        for version in versions
    ]
    assert [b"1", b"2"] == read


def test_a_large_object_is_sent_whole_and_in_parts(plane: PlaneProcess, tmp_path: Path) -> None:
    s3 = plane.client("s3")
    s3.create_bucket(Bucket="large")
    data = random.Random(2).randbytes(18_000_001)
    (tmp_path / "in").write_bytes(data)
    s3.upload_file(str(tmp_path / "in"), "large", "parts")  # in several parts
    s3.put_object(Bucket="large", Key="whole", Body=data)
    for key in ("parts", "whole"):
        assert digest(data) == digest(s3.get_object(Bucket="large", Key=key)["Body"].read())
        for asked, part in (
            ("bytes=5-9", data[5:10]),
            ("bytes=-7", data[-7:]),
            ("bytes=18000000-", data[18_000_000:]),
        ):
            found = s3.get_object(Bucket="large", Key=key, Range=asked)
            assert (206, part) == (
                found["ResponseMetadata"]["HTTPStatusCode"],
                found["Body"].read(),
            )
    with pytest.raises(ClientError, match="InvalidRange"):
        s3.get_object(Bucket="large", Key="whole", Range="bytes=18000001-")


def test_a_full_disk_leaves_the_old_object(plane: PlaneProcess) -> None:
    s3 = plane.client("s3")
    s3.create_bucket(Bucket="full")
    s3.put_object(Bucket="full", Key="k", Body=b"old")
    pid = plane.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        for key in ("k", "new"):
            with pytest.raises(ClientError, match="InternalError") as refused:
                s3.put_object(Bucket="full", Key=key, Body=bytes(2 << 20))
            assert 500 == refused.value.response["ResponseMetadata"]["HTTPStatusCode"]
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    assert b"old" == s3.get_object(Bucket="full", Key="k")["Body"].read()
    assert ["k"] == [one["Key"] for one in s3.list_objects_v2(Bucket="full")["Contents"]]


class Uploads:
    """Writes, overwrites and deletes of a few keys, and what each may hold after a crash.

    A key belongs to one thread, so that its last acknowledged content is known; the content that
    was on its way when the plane died may be there or not.
    """

    def __init__(self, plane: PlaneProcess, seed: int, known: dict[str, set[Digest]]) -> None:
        self.possible = dict(known)
        self.count = 0
        self._client = plane.client("s3", max_pool_connections=4)
        self._seed = seed
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(4)]
        for thread in self._threads:
            thread.start()

    def has_done(self, wanted: int) -> bool:
        return self.count >= wanted

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
        self._client.close()

    def _run(self, number: int) -> None:
        chance = random.Random(self._seed * 10 + number)
        while True:
            key = f"{number}/{chance.randrange(5)}"
            data = None if chance.random() < 0.1 else chance.randbytes(chance.randrange(200_000))
            content = None if data is None else digest(data)
            self.possible[key] = {*self.possible.get(key, {None}), content}
            try:
                self._change(key, data, in_parts=chance.random() < 0.2)
            except Exception:  # the plane was killed
                return
            self.possible[key] = {content}
            self.count += 1

    def _change(self, key: str, data: bytes | None, *, in_parts: bool) -> None:
        place = {"Bucket": UPLOADS, "Key": key}
        if data is None:
            self._client.delete_object(**place)
        elif in_parts:
            upload = {
                **place,
                "UploadId": self._client.create_multipart_upload(**place)["UploadId"],
            }
            part = self._client.upload_part(**upload, PartNumber=1, Body=data)
            parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
            self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        else:
            self._client.put_object(**place, Body=data)


def test_what_was_acknowledged_survives_sigkill_at_any_instant(plane: PlaneProcess) -> None:
    chance = random.Random(20)
    plane.client("s3").create_bucket(Bucket=UPLOADS)
    known: dict[str, set[Digest]] = {}
    for crash in range(2):
        uploads = Uploads(plane, crash, known)
        wanted = chance.randrange(10, 40)
        wait_for(partial(uploads.has_done, wanted), "uploads", 60)
        time.sleep(chance.random() * 0.02)  # an instant within a request, not after one
        plane.kill()
        uploads.join()
        plane.start()
        s3 = plane.client("s3")
        found: dict[str, Digest] = {
            one["Key"]: digest(s3.get_object(Bucket=UPLOADS, Key=one["Key"])["Body"].read())
            for one in s3.list_objects_v2(Bucket=UPLOADS).get("Contents", [])
        }
        assert [] == [
            key for key, contents in uploads.possible.items() if found.get(key) not in contents
        ]
        assert set(found) <= set(uploads.possible)
        known = {key: {found.get(key)} for key in uploads.possible}
