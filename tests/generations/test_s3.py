"""A place on S3: the same promises as on a disk, and copies of what is read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from kneighbors.artifact import open_artifact, verify
from kneighbors.errors import ArtifactError, KNeighborsError, StorageError
from kneighbors.generations import Follower, current, history, is_place, load, publish, rollback
from kneighbors.generations import s3_place as s3_place_module
from support import artifact_making as making

PLACE = "s3://wines/some/place"


def keys(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket="wines").get("Contents", [])]


def damage(s3: Any, key: str) -> None:
    data = s3.get_object(Bucket="wines", Key=key)["Body"].read()
    s3.put_object(Bucket="wines", Key=key, Body=data[:-1] + bytes([data[-1] ^ 1]))


def test_generations_are_published_listed_and_gone_back_to(
    s3: Any, artifacts: list[Path], tmp_path: Path
) -> None:
    assert not is_place(PLACE)
    ids = [publish(one, PLACE).id for one in artifacts[:2]]
    assert is_place(PLACE)
    assert ids == [one.id for one in history(PLACE, verify=True)]
    assert [None, None] == [one.fault for one in history(PLACE)]
    assert ids[1] == current(PLACE).id
    follower = Follower(PLACE, tmp_path / "cache")
    found = follower.poll()
    assert found is not None
    assert found.path is not None
    assert all(report.is_whole for report in verify(found.path))
    assert follower.poll() is None
    assert ids[0] == rollback(PLACE).id
    back = follower.poll()
    assert back is not None
    assert ids[0] == back.id


def test_older_generations_are_removed_with_all_their_objects(
    s3: Any, artifacts: list[Path]
) -> None:
    ids = [publish(artifacts[n % 3], PLACE, keep=2, grace_s=-3600.0).id for n in range(3)]
    assert set(ids[1:]) == {one.split("/")[3] for one in keys(s3) if "generations" in one}


def test_a_publisher_that_cannot_finish_leaves_nothing_that_counts(
    s3: Any, artifacts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kneighbors.storage.s3 import S3Store

    publish(artifacts[0], PLACE)
    before = keys(s3)
    upload, sent = S3Store.upload, []

    def failing(self: S3Store, *arguments: Any) -> int:
        sent.append(arguments)
        if len(sent) == 4:
            raise StorageError("storage-unreachable", "No answer came.")
        return upload(self, *arguments)

    monkeypatch.setattr(S3Store, "upload", failing)
    with pytest.raises(StorageError):
        publish(artifacts[1], PLACE)
    assert before == keys(s3)


def test_parts_without_a_manifest_are_no_generation_and_go_when_they_are_old(
    s3: Any, artifacts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(artifacts[0], PLACE)
    left = "some/place/generations/000002-0123456789ab/vectors.npy"
    s3.put_object(Bucket="wines", Key=left, Body=b"half")
    assert [first.id] == [one.id for one in history(PLACE)]
    assert 3 == publish(artifacts[1], PLACE).number
    assert left in keys(s3)
    monkeypatch.setattr(s3_place_module, "STALE_S", -3600.0)
    publish(artifacts[2], PLACE)
    assert left not in keys(s3)


def test_an_artifact_is_no_place(s3: Any, artifacts: list[Path]) -> None:
    s3.put_object(Bucket="wines", Key="some/place/manifest.json", Body=b"{}")
    with pytest.raises(StorageError) as caught:
        publish(artifacts[0], PLACE)
    assert "place-is-artifact" == caught.value.code


def test_a_bucket_that_is_not_there_is_named(s3: Any, artifacts: list[Path]) -> None:
    for action in (lambda: publish(artifacts[0], "s3://nowhere/x"), lambda: load("s3://nowhere/x")):
        with pytest.raises(StorageError) as caught:
            action()
        assert caught.value.code in ("storage-missing", "place-unknown")


@pytest.mark.parametrize("how", ["changed", "missing", "longer", "manifest"])
def test_what_is_damaged_on_s3_is_not_taken(
    s3: Any, artifacts: list[Path], tmp_path: Path, how: str
) -> None:
    generation = publish(artifacts[0], PLACE)
    key = f"some/place/generations/{generation.id}/vectors.npy"
    if how == "changed":
        damage(s3, key)
    elif how == "missing":
        s3.delete_object(Bucket="wines", Key=key)
    elif how == "longer":
        data = s3.get_object(Bucket="wines", Key=key)["Body"].read()
        s3.put_object(Bucket="wines", Key=key, Body=data + data)
    else:
        other = publish(artifacts[1], "s3://wines/other")
        text = s3.get_object(Bucket="wines", Key=f"other/generations/{other.id}/manifest.json")[
            "Body"
        ].read()
        s3.put_object(Bucket="wines", Key=key.replace("vectors.npy", "manifest.json"), Body=text)
    follower = Follower(PLACE, tmp_path)
    with pytest.raises(ArtifactError) as caught:
        follower.poll()
    assert caught.value.code in ("artifact-damaged", "artifact-incomplete")
    assert follower.poll() is None
    (folder,) = tmp_path.iterdir()
    assert [] == [one.name for one in folder.iterdir() if one.is_dir()]
    with pytest.raises(KNeighborsError):
        rollback(PLACE, generation.id)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_fetched(
    s3: Any, artifacts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(artifacts[0], PLACE)
    small = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: small)
    follower = Follower(PLACE, tmp_path)
    with pytest.raises(StorageError) as caught:
        follower.poll()
    assert "storage-full" == caught.value.code


def test_a_copy_is_fetched_once_and_old_copies_go(
    s3: Any, artifacts: list[Path], tmp_path: Path
) -> None:
    first = publish(artifacts[0], PLACE)
    one = Follower(PLACE, tmp_path).poll()
    assert one is not None
    assert one.path is not None
    inode = one.path.stat().st_ino
    again = Follower(PLACE, tmp_path)
    two = again.poll()
    assert two is not None
    assert two.path is not None
    assert inode == two.path.stat().st_ino
    publish(artifacts[1], PLACE)
    three = again.poll()
    assert three is not None
    again.tidy(three)
    folder = one.path.parent
    assert [three.id] == [found.name for found in folder.iterdir() if found.is_dir()]
    assert first.id != three.id


def test_a_copy_of_an_earlier_day_that_is_damaged_is_fetched_anew(
    s3: Any, artifacts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(artifacts[1], PLACE)
    monkeypatch.setenv("KNEIGHBORS_CACHE_DIR", str(tmp_path))
    old = Follower(PLACE, tmp_path).poll()
    assert old is not None
    assert old.path is not None
    file = old.path / "ids-text.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError):
        open_artifact(old.path)
    found = load(PLACE).kneighbors(making.corpus(seed=1)[:3], 1)[1]
    assert [0, 1, 2] == found[:, 0].tolist()
