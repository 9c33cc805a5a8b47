"""Each machine of a cluster copies the shards that it is to hold from S3, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cluster.test_commands import run, served
from kneighbors.cluster import open_on_cluster
from kneighbors.errors import ArtifactError, StorageError
from kneighbors.generations import publish
from kneighbors.shards import open_sharded
from support import shards_making as making

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.timeout(600)]

PLACE = "s3://wines/on-a-cluster"


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give two artifacts of one shape in three shards each, with ids and attributes."""
    folder = tmp_path_factory.mktemp("sharded")
    for seed in range(2):
        X = making.corpus(seed=seed)
        names = [f"wine-{row}" for row in range(len(X))]
        items = {"price": [float(row) for row in range(len(X))]}
        making.write(folder / str(seed), X, n_shards=3, ids=names, items=items)
    return [folder / str(seed) for seed in range(2)]


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Give the directories for copies of the hosts and of this process."""
    monkeypatch.setenv("KNEIGHBORS_CACHE_DIR", str(tmp_path / "hosts"))
    return tmp_path / "hosts", tmp_path / "here"


def files(folder: Path, name: str) -> list[str]:
    return sorted(path.parent.name for path in folder.rglob(name))


def test_answers_and_rows_are_those_of_one_machine_and_no_vectors_come_here(
    cluster: Any, s3: Any, sharded: list[Path], caches: tuple[Path, Path]
) -> None:
    publish(sharded[0], PLACE)
    Q = making.corpus()[::7]
    there = open_on_cluster(PLACE, cache_dir=caches[1])
    with open_sharded(sharded[0]) as here:
        for k in (1, 10, 300):
            for one, other in zip(
                there.index.kneighbors(Q, k), here.index.kneighbors(Q, k), strict=True
            ):
                np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(
            there.index.rows.take(np.array([7, 1100, 400])),
            here.index.rows.take(np.array([7, 1100, 400])),
        )
        np.testing.assert_array_equal(
            there.index.rows.slice(390, 810), here.index.rows.slice(390, 810)
        )
        assert there.catalog.rows_of(["wine-1199", "wine-3"]).tolist() == [1199, 3]
        assert there.catalog.attributes_of([1100]) == here.catalog.attributes_of([1100])
    there.close()
    assert 3 == len(files(caches[0], "vectors.npy"))
    assert files(caches[1], "ids-text.npy") == files(caches[0], "ids-text.npy")
    assert [] == files(caches[1], "vectors.npy")
    assert [] == files(caches[1], "head.npy")


def test_a_copy_of_a_host_that_is_damaged_is_brought_anew(
    cluster: Any, s3: Any, sharded: list[Path], caches: tuple[Path, Path]
) -> None:
    publish(sharded[0], PLACE)
    open_on_cluster(PLACE, cache_dir=caches[1]).close()
    part = sorted(caches[0].rglob("ids-hashes.npy"))[1]
    whole = part.read_bytes()
    part.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    open_on_cluster(PLACE, cache_dir=caches[1]).close()
    assert whole == part.read_bytes()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("vectors.npy", "artifact-damaged"),
        ("manifest.json", "shards-generation"),
    ],
)
def test_what_a_host_cannot_bring_is_refused_here(
    cluster: Any, s3: Any, sharded: list[Path], caches: tuple[Path, Path], name: str, code: str
) -> None:
    generation = publish(sharded[0], PLACE)
    open_on_cluster(PLACE, cache_dir=caches[1]).close()  # what this process needs is there
    (folder,) = {one for one in files(caches[0], "vectors.npy") if one.endswith("00001")}
    key = f"{generation.address[len('s3://wines/') :]}{folder}/{name}"
    if name == "manifest.json":
        data = next(sharded[1].glob("shard-*-00001/manifest.json")).read_bytes()
    else:
        data = s3.get_object(Bucket="wines", Key=key)["Body"].read()
        data = data[:-1] + bytes([data[-1] ^ 1])
    s3.put_object(Bucket="wines", Key=key, Body=data)
    for path in caches[0].rglob(f"{folder}/manifest.json"):
        path.unlink()  # a machine that has not held it yet
    with pytest.raises(ArtifactError) as caught:
        open_on_cluster(PLACE, cache_dir=caches[1])
    assert code == caught.value.code
    assert folder in str(caught.value.where)


def test_an_artifact_in_one_piece_is_refused_before_it_is_copied(
    cluster: Any, s3: Any, tmp_path: Path, caches: tuple[Path, Path]
) -> None:
    from kneighbors.artifact import save
    from support import artifact_making

    save(tmp_path / "M", artifact_making.index(), artifact_making.catalog())
    publish(tmp_path / "M", PLACE)
    with pytest.raises(ArtifactError) as caught:
        open_on_cluster(PLACE, cache_dir=caches[1])
    assert "artifact-unknown" == caught.value.code
    assert [] == files(caches[1], "*.npy")


def test_copies_that_would_take_more_than_they_may_are_refused(
    cluster: Any,
    s3: Any,
    sharded: list[Path],
    caches: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish(sharded[0], PLACE)
    monkeypatch.setenv("KNEIGHBORS_CACHE_BYTES", "90000")
    with pytest.raises(StorageError) as caught:
        open_on_cluster(PLACE, cache_dir=caches[1])
    assert "storage-full" == caught.value.code


def test_the_commands_take_a_place_and_follow_it(
    cluster: Any, s3: Any, sharded: list[Path], caches: tuple[Path, Path], tmp_path: Path
) -> None:
    import urllib3

    publish(sharded[0], PLACE)
    tables = []
    for name, options in (("there", ("--cluster", cluster.address)), ("here", ())):
        output = tmp_path / name
        done = run(
            *("join", "--model", PLACE, "--output", str(output), "-k", "4", "--no-progress"),
            *options,
        )
        assert done.returncode == 0, done.stderr
        tables.append(pq.read_table([str(path) for path in sorted(output.glob("*.parquet"))]))
    assert tables[0].equals(tables[1])
    assert set(tables[0].column("query_id").to_pylist()) == {f"wine-{row}" for row in range(1200)}
    pool = urllib3.PoolManager(retries=False)

    def nearest(url: str, vector: Any) -> Any:
        body = b'{"instances": %s, "k": 3}' % str([vector.tolist()]).encode()
        answer = pool.request(
            "POST",
            url + "/invocations",
            body=body,
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert answer.status == 200, answer.data
        return answer.headers["X-Kneighbors-Generation"], answer.json()["predictions"][0]["ids"]

    with served(PLACE, cluster.address, 1) as url:
        vector = making.corpus(seed=1)[30]
        first, before = nearest(url, vector)
        second = publish(sharded[1], PLACE)
        now, after = first, before
        while now == first:
            now, after = nearest(url, vector)
    assert now == second.digest
    assert after[0] == "wine-30"
    assert before != after
