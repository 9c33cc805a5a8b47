"""Artifacts in shards are published like any other, and fetched from S3 shard by shard."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import ArtifactError, ParameterRefused, StorageError
from kneighbors.generations import history, load, open_saved, publish, rollback
from kneighbors.generations.generation import make_id
from kneighbors.shards import open_sharded
from kneighbors.shards.opening import read_manifest
from support import shards_making as making
from support.cli_run import Runner
from support.server_process import ServerProcess
from support.wire_bodies import npy_body

PLACE = "s3://wines/sharded"


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give two artifacts of one shape in three shards each, with ids and attributes."""
    folder = tmp_path_factory.mktemp("sharded")
    for seed in range(2):
        X = making.corpus(600, seed)
        names = [f"wine-{row}" for row in range(len(X))]
        items = {"price": [float(row) for row in range(len(X))]}
        making.write(folder / str(seed), X, n_shards=3, ids=names, items=items)
    return [folder / str(seed) for seed in range(2)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KNEIGHBORS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def below(s3: Any, prefix: str) -> list[str]:
    return [
        one["Key"] for one in s3.list_objects_v2(Bucket="wines", Prefix=prefix).get("Contents", [])
    ]


def change(s3: Any, key: str, how: str = "changed") -> None:
    data = s3.get_object(Bucket="wines", Key=key)["Body"].read()
    if how == "missing":
        s3.delete_object(Bucket="wines", Key=key)
    else:
        s3.put_object(Bucket="wines", Key=key, Body=data[:-1] + bytes([data[-1] ^ 1]))


def copies(cache: Path) -> list[str]:
    """Return the shards that were copied whole."""
    return sorted(path.parent.name for path in cache.glob("*/*/shard-*/manifest.json"))


@pytest.mark.parametrize("where", ["s3", "disk"])
def test_a_published_artifact_in_shards_answers_as_the_one_that_was_published(
    s3: Any, sharded: list[Path], cache: Path, tmp_path: Path, where: str
) -> None:
    place = PLACE if where == "s3" else str(tmp_path / "place")
    first = publish(sharded[0], place)
    second = publish(sharded[1], place)
    assert [None, None] == [one.fault for one in history(place, verify=True)]
    assert 600 == second.n_samples
    Q = making.corpus(600, 1)[::9]
    with open_saved(place) as there, open_sharded(sharded[1]) as here:
        for one, other in zip(
            there.index.kneighbors(Q, 7), here.index.kneighbors(Q, 7), strict=True
        ):
            np.testing.assert_array_equal(one, other)
        assert there.catalog.ids_of([5, 599]) == ["wine-5", "wine-599"]
        assert there.catalog.attributes_of([5]) == here.catalog.attributes_of([5])
    assert first.id == rollback(place).id
    found = load(place).kneighbors(making.corpus(600, 0)[[11]], 1)[1]
    assert [[11]] == found.tolist()


def test_publishing_the_same_shards_again_changes_nothing(s3: Any, sharded: list[Path]) -> None:
    assert publish(sharded[0], PLACE).id == publish(sharded[0], PLACE).id
    assert 1 == len(history(PLACE))


def test_older_shards_are_removed_with_all_their_objects(s3: Any, sharded: list[Path]) -> None:
    ids = [publish(sharded[n % 2], PLACE, keep=2, grace_s=-3600.0).id for n in range(3)]
    assert set(ids[1:]) == {one.split("/")[2] for one in below(s3, "sharded/generations")}


def test_shards_that_are_not_the_published_ones_are_not_published(
    s3: Any, sharded: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "M"
    shutil.copytree(sharded[0], broken)
    (folder, *_) = sorted(broken.glob("shard-*"))
    part = folder / "vectors.npy"
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    for place in (PLACE, str(tmp_path / "place")):
        with pytest.raises(ArtifactError) as caught:
            publish(broken, place)
        assert "artifact-damaged" == caught.value.code
    shutil.rmtree(folder)
    with pytest.raises(ArtifactError) as caught:
        publish(broken, PLACE)
    assert "shards-incomplete" == caught.value.code
    assert below(s3, "sharded/") == []


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("changed", "artifact-damaged"),
        ("part missing", "artifact-incomplete"),
        ("shard missing", "shards-incomplete"),
        ("another generation", "shards-generation"),
    ],
)
def test_a_shard_that_is_at_fault_on_s3_is_named_and_the_others_stay_fetched(
    s3: Any, sharded: list[Path], cache: Path, how: str, code: str
) -> None:
    generation = publish(sharded[0], PLACE)
    folders = sorted({key.split("/")[3] for key in below(s3, generation.address[11:] + "shard-")})
    last = f"{generation.address[len('s3://wines/') :]}{folders[2]}"
    kept = s3.get_object(Bucket="wines", Key=f"{last}/manifest.json")["Body"].read()
    vectors = s3.get_object(Bucket="wines", Key=f"{last}/vectors.npy")["Body"].read()
    if how == "changed":
        change(s3, f"{last}/vectors.npy")
    elif how == "part missing":
        change(s3, f"{last}/vectors.npy", "missing")
    elif how == "shard missing":
        change(s3, f"{last}/manifest.json", "missing")
    else:
        other = next(sharded[1].glob("shard-*-00002")) / "manifest.json"
        s3.put_object(Bucket="wines", Key=f"{last}/manifest.json", Body=other.read_bytes())
    with pytest.raises(ArtifactError) as caught:
        load(PLACE)
    assert code == caught.value.code
    assert folders[2] in str(caught.value.where)
    if how in ("changed", "part missing"):
        assert folders[:2] == copies(cache)
    assert not list(cache.glob("*/*/shards.json"))
    # Mended, the copy goes on behind what it has.
    s3.put_object(Bucket="wines", Key=f"{last}/manifest.json", Body=kept)
    s3.put_object(Bucket="wines", Key=f"{last}/vectors.npy", Body=vectors)
    before = {path: path.stat().st_ino for path in cache.glob("*/*/shard-*/vectors.npy")}
    load(PLACE)
    assert folders == copies(cache)
    assert all(path.stat().st_ino == inode for path, inode in before.items())


def test_of_a_copy_that_is_damaged_only_that_shard_is_fetched_anew(
    s3: Any, sharded: list[Path], cache: Path
) -> None:
    publish(sharded[0], PLACE)
    load(PLACE)
    before = {path: path.stat().st_ino for path in sorted(cache.glob("*/*/shard-*/ids-order.npy"))}
    damaged = [*before][1]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\xff")
    load(PLACE)
    again = {path: path.stat().st_ino for path in before}
    assert [damaged] == [path for path in before if before[path] != again[path]]


def test_copies_take_no_more_than_they_may_and_those_go_first_that_nobody_asked_for(
    s3: Any, sharded: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [publish(sharded[number % 2], f"{PLACE}/{number}").bytes for number in range(3)]
    used: list[Path] = []
    for number, when in ((0, 1e9), (1, 2e9)):
        load(f"{PLACE}/{number}")
        (folder,) = [one.parent for one in cache.glob("*/*/shards.json") if one.parent not in used]
        os.utime(folder, (when, when))
        used.append(folder)
    load(f"{PLACE}/0")  # asked for again, and so the last that was
    os.utime(used[0], (3e9, 3e9))
    monkeypatch.setenv("KNEIGHBORS_CACHE_BYTES", str(sum(sizes) - 1))
    load(f"{PLACE}/2")
    assert [True, False] == [folder.exists() for folder in used]
    monkeypatch.setenv("KNEIGHBORS_CACHE_BYTES", str(sizes[1] - 1))
    with pytest.raises(StorageError) as caught:
        load(f"{PLACE}/1")
    assert "storage-full" == caught.value.code
    monkeypatch.setenv("KNEIGHBORS_CACHE_BYTES", "1 GB")
    with pytest.raises(ParameterRefused) as refused:
        load(f"{PLACE}/1")
    assert "cache-limit" == refused.value.code


def test_the_commands_take_a_place_with_shards(
    s3: Any, sharded: list[Path], cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Runner(capsys)
    published = run("publish", sharded[0], "--to", PLACE, "--json", "--no-progress")
    assert 0 == published.code, published.err
    found = run("inspect", PLACE, "--verify", "--json")
    assert 0 == found.code, found.err
    assert (True, 600) == (found.json["verified"], found.json["n_samples"])
    answers = [
        run("query", one, "--id", "wine-17", "-k", "2", "--json") for one in (PLACE, sharded[0])
    ]
    assert [0, 0] == [answer.code for answer in answers], answers[0].err
    assert answers[0].out == answers[1].out
    recall = run("evaluate", PLACE, "--sample", "20", "--json")
    assert (0, 1.0) == (recall.code, recall.json["index_recall"]["by_id"]["mean"]), recall.err
    joined = run("join", "--model", PLACE, "--output", tmp_path / "out", "-k", "2", "--json")
    assert 0 == joined.code, joined.err
    assert 600 == joined.json["queries"]
    body = npy_body(making.corpus(600, 0)[:1])
    with ServerProcess(tmp_path, PLACE, workers=2) as server:
        named = {"Content-Type": "application/x-npy"}
        status, headers, _ = server.request("POST", "/invocations", body, named)
        digest = published.json["id"].partition("-")[2]
        assert (200, digest) == (status, headers["x-kneighbors-generation"])
        assert 0 == server.stop()


@pytest.mark.skipif(
    os.environ.get("KNEIGHBORS_S3_SERVER") != "ceph",
    reason="moto has no users: make test-s3",
)
def test_a_permission_that_is_lost_costs_what_it_forbids_and_no_more(
    s3: Any, sharded: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]

    def allow(*actions: str, but_below: str = "nothing") -> None:
        who = {"AWS": ["arn:aws:iam:::user/stranger"]}
        names = ["arn:aws:s3:::wines", "arn:aws:s3:::wines/*"]
        denied = [f"arn:aws:s3:::wines/{but_below}/*"]
        statements = [
            {"Effect": "Allow", "Principal": who, "Action": list(actions), "Resource": names},
            {"Effect": "Deny", "Principal": who, "Action": everything[:2], "Resource": denied},
        ]
        policy = {"Version": "2012-10-17", "Statement": statements}
        s3.put_bucket_policy(Bucket="wines", Policy=json.dumps(policy))

    try:
        allow(*everything)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
        first = publish(sharded[0], PLACE)
        second = make_id(2, read_manifest(sharded[1]).digest)
        (folder,) = sharded[1].glob("shard-*-00002")
        allow(*everything, but_below=f"sharded/generations/{second}/{folder.name}")
        with pytest.raises(StorageError) as caught:
            publish(sharded[1], PLACE)
        assert "storage-forbidden" == caught.value.code
        assert [first.id] == [one.id for one in history(PLACE)]
        (folder,) = sharded[0].glob("shard-*-00002")
        allow(*everything, but_below=f"sharded/generations/{first.id}/{folder.name}")
        with pytest.raises(StorageError) as caught:
            load(PLACE)
        assert "storage-forbidden" == caught.value.code
        assert "never-shown" not in str(caught.value)
        allow(*everything)
        load(PLACE)
        assert 3 == len(copies(cache))
    finally:
        s3.delete_bucket_policy(Bucket="wines")
