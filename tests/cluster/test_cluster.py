"""What a cluster answers is what one machine answers, also while hosts are lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from kneighbors.cluster import RayExecutor, build_shards, open_on_cluster, placing
from kneighbors.cluster.connecting import connect
from kneighbors.errors import ArtifactError, ClusterError, ParameterRefused
from kneighbors.sagemaker.model import Model
from kneighbors.shards import TakeRows, open_sharded
from kneighbors.shards.opening import ShardedArtifact
from support import shards_making as making

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cluster") / "M"
    making.write(path, making.corpus(), n_shards=3)
    return path


@pytest.fixture(scope="module")
def single(cluster: Any, path: Path) -> Iterator[RayExecutor]:
    executor = RayExecutor(path, replicas=1)
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def double(cluster: Any, path: Path) -> Iterator[ShardedArtifact]:
    artifact = open_on_cluster(path, replicas=2)
    yield artifact
    artifact.close()


def processes(executor: RayExecutor, shard: int) -> list[int]:
    ray = connect("auto")
    hosts = executor.hosts.of_shard[shard]
    return [ray.get(host.actor.process.remote(), timeout=60) for host in hosts]


def until(condition: Callable[[], bool], seconds: float = 120.0) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.05)
    return time.monotonic() - begun


def test_answers_are_those_of_one_machine_to_the_bit(double: ShardedArtifact, path: Path) -> None:
    Q = making.corpus()[::7]
    alone, together = open_sharded(path), double
    for k in (1, 10, 300):
        expected, actual = alone.index.kneighbors(Q, k), together.index.kneighbors(Q, k)
        np.testing.assert_array_equal(expected[0], actual[0])
        np.testing.assert_array_equal(expected[1], actual[1])
    expected_within: Any = alone.index.radius_neighbors(Q[:5], 3.0)
    actual_within: Any = together.index.radius_neighbors(Q[:5], 3.0)
    for one, other in zip(expected_within, actual_within, strict=True):
        assert [row.tolist() for row in one] == [row.tolist() for row in other]
    alone.close()


def test_a_shard_without_a_host_is_named_and_comes_back(single: RayExecutor) -> None:
    X = making.corpus()
    (process,) = processes(single, 1)
    os.kill(process, signal.SIGKILL)
    until(lambda: single.submit(1, TakeRows(np.array([0]))).exception(60) is not None)
    error = single.submit(1, TakeRows(np.array([0]))).exception(60)
    if error is not None:  # unless it is back already
        assert isinstance(error, ClusterError)
        assert error.code == "shard-unavailable"
        assert "400 to 799" in error.message
    until(lambda: single.hosts.missing() == [])
    taken = single.submit(1, TakeRows(np.array([0]))).result(60)
    np.testing.assert_array_equal(X[400:401], taken)


def test_a_request_that_allows_it_is_answered_while_a_shard_has_no_host(
    single: RayExecutor, path: Path
) -> None:
    artifact = open_sharded(path, executor=single)
    model = Model.of_artifact(artifact)
    body = b'{"instances": %s, "k": 3}' % str(making.corpus()[[500, 700]].tolist()).encode()
    whole = model.invoke(body, "application/json")
    assert whole.headers == ()

    def answered_from_the_rest() -> bool:
        process = processes(single, 1)
        os.kill(process[0], signal.SIGKILL)
        until(lambda: bool(single.hosts.missing()) or ask(strict=True) is None)
        return ask(strict=False) is not None

    def ask(*, strict: bool) -> Any:
        options = None if strict else "allow_partial=true"
        try:
            reply = model.invoke(body, "application/json", None, options)
        except ClusterError:
            assert strict
            return None
        if strict or not reply.is_partial:  # it is back already
            return reply if strict else None
        assert reply.headers == (("X-Kneighbors-Partial", "400-799"),)
        predictions = json.loads(reply.body)["predictions"]
        assert [one["missing_rows"] for one in predictions] == [[[400, 799]]] * 2
        assert not any(400 <= row < 800 for one in predictions for row in one["indices"])
        return reply

    until(answered_from_the_rest)
    until(lambda: single.hosts.missing() == [])
    until(lambda: ask(strict=True) is not None)
    allowed = model.invoke(body, "application/json", None, "allow_partial=true")
    assert (allowed.body, allowed.headers) == (whole.body, ())


def test_with_two_copies_a_killed_host_costs_no_request(double: ShardedArtifact) -> None:
    artifact = double
    executor: Any = cast(Any, artifact.index).executor
    Q = making.corpus()[:4]
    expected = artifact.index.kneighbors(Q, 5)
    stop, slowest, count = threading.Event(), [0.0], [0]

    def ask() -> None:
        while not stop.is_set():
            begun = time.monotonic()
            found = artifact.index.kneighbors(Q, 5)
            slowest[0] = max(slowest[0], time.monotonic() - begun)
            count[0] += 1
            np.testing.assert_array_equal(expected[1], found[1])

    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            ask()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(3)]
    for thread in threads:
        thread.start()
    for shard in range(3):
        os.kill(processes(executor, shard)[shard % 2], signal.SIGKILL)
        before = count[0]
        until(lambda before=before: count[0] > before + 5 or bool(failures))  # type: ignore[misc]
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_node_that_joins_gets_copies_and_no_request_fails(cluster: Any, path: Path) -> None:
    told: list[str] = []
    with open_on_cluster(path, replicas=2, rebalance_s=0.2) as artifact:
        executor: Any = cast(Any, artifact.index).executor
        executor.listen(told.append)
        hosts = executor.hosts
        Q = making.corpus()[:4]
        expected = artifact.index.kneighbors(Q, 5)
        before = set(hosts.nodes())
        assert loads(hosts) == [3, 3]
        stop = threading.Event()
        count = [0]

        def ask() -> None:
            while not stop.is_set():
                found = artifact.index.kneighbors(Q, 5)
                np.testing.assert_array_equal(expected[1], found[1])
                count[0] += 1

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask) for _ in range(2)]
            extra = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1")
            until(lambda: loads(hosts) == [2, 2, 2] or asking[0].done())
            (joined,) = set(hosts.nodes()) - before
            assert [homes.count(joined) for homes in hosts.placement()].count(1) == 2
            asked = count[0]
            until(lambda: count[0] > asked + 20 or asking[0].done())
            until(lambda: len(told) == 2)
            cluster.remove_node(extra)
            until(lambda: loads(hosts) == [3, 3] and not hosts.missing(), 240)
            asked = count[0]
            until(lambda: count[0] > asked + 20 or asking[0].done())
            stop.set()
            for one in asking:
                one.result(60)
    assert set(told) == {"kneighbors_shard_moves_total"}


def loads(hosts: Any) -> list[int]:
    homes = Counter(home for placed in hosts.placement() for home in placed)
    return sorted(homes.values())


def test_a_copy_that_cannot_open_its_shard_is_started_anew(
    cluster: Any, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "_REST_S", 0.5)
    shutil.copytree(path, tmp_path / "M")
    folder = next((tmp_path / "M").glob("shard-*-00001"))
    executor = RayExecutor(tmp_path / "M", replicas=1)
    (process,) = processes(executor, 1)
    folder.rename(tmp_path / "away")
    os.kill(process, signal.SIGKILL)
    until(lambda: executor.submit(1, TakeRows(np.array([0]))).exception(60) is not None)
    host = executor.hosts.of_shard[1][0]
    first = host.actor
    until(lambda: host.actor is not first)
    (tmp_path / "away").rename(folder)
    until(lambda: executor.hosts.missing() == [])
    taken = executor.submit(1, TakeRows(np.array([0]))).result(60)
    np.testing.assert_array_equal(making.corpus()[400:401], taken)
    executor.close()


def test_what_a_shard_refuses_is_raised_here(cluster: Any, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "M"
    shutil.copytree(path, copy)
    part = next((copy / cast(Any, open_sharded(copy).manifest).shards[2].folder).glob("vectors*"))
    data = bytearray(part.read_bytes())
    data[-3] ^= 1
    part.write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        open_on_cluster(copy).index.kneighbors(making.corpus()[::40], 1200)
    assert caught.value.code == "artifact-damaged"


def write_number(folder: Path, number: int) -> None:
    """Write a file; the first try for an odd number kills its process."""
    mark = folder / f"tried-{number}"
    if number % 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / str(number)).write_text(str(number))


def refuse(number: int) -> None:
    raise ParameterRefused("parameter-range", f"Expected another number than {number}.")


def take_too_much(number: int) -> None:
    assert len(np.ones(1 << 28)) > number


def test_shards_are_made_though_their_tasks_are_killed(cluster: Any, tmp_path: Path) -> None:
    build_shards(partial(write_number, tmp_path), 6)
    made = sorted(path.name for path in tmp_path.iterdir() if path.name.isdecimal())
    assert made == ["0", "1", "2", "3", "4", "5"]


def test_what_making_a_shard_refuses_is_raised(cluster: Any) -> None:
    with pytest.raises(ParameterRefused):
        build_shards(refuse, 2)


def test_a_task_that_takes_too_much_is_named_with_its_limit(cluster: Any) -> None:
    with pytest.raises(ClusterError) as caught:
        build_shards(take_too_much, 1, memory_bytes=256 << 20)
    assert caught.value.code == "cluster-memory"
    assert "shard 0" in caught.value.message
    assert str(256 << 20) in caught.value.message


def test_a_cluster_of_this_process_alone_is_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    asked: dict[str, Any] = {}
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **options: asked.update(options))
    connect("local")
    # Without an address, Ray joins what was started last on this machine.
    assert (asked["address"], asked["_node_ip_address"]) == ("local", "127.0.0.1")


@pytest.mark.parametrize("address", ["ray://127.0.0.1:1", "127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_is_named(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ClusterError) as caught:
        connect(address)
    assert caught.value.code == "cluster-unreachable"
    assert caught.value.where == address
    assert "tried for 5 s" in caught.value.message


@pytest.mark.parametrize("address", ["", "nowhere", "http://127.0.0.1:8265", "host:port"])
def test_an_address_that_is_none_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ClusterError) as caught:
        connect(address)
    assert caught.value.code == "cluster-address"


def test_no_copy_at_all_is_refused(path: Path) -> None:
    with pytest.raises(ParameterRefused):
        RayExecutor(path, replicas=0)
