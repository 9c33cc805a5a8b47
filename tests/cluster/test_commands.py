"""The commands take a cluster's address and a flag, and answer what they answer without."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import urllib3

from kneighbors.generations import publish
from kneighbors.shards import open_sharded
from support import shards_making as making

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.timeout(600)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kneighbors", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def made(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return artifacts of one corpus, one made on the cluster and one here."""
    folder = tmp_path_factory.mktemp("made")
    np.save(folder / "X.npy", making.corpus())
    common = ("train", "--train", str(folder / "X.npy"), "--metric", "euclidean", "--shards", "3")
    there = ("--cluster", cluster.address, "--memory-per-task", "1GiB")
    for name, options in (("there", there), ("here", ())):
        done = run(*common, *options, "--model-dir", str(folder / name), "--no-progress")
        assert done.returncode == 0, done.stderr
    return folder / "there", folder / "here"


def test_shards_made_on_a_cluster_are_those_made_here(made: tuple[Path, Path]) -> None:
    there, here = (open_sharded(path) for path in made)
    Q = making.corpus()[::50]
    for one, other in zip(there.index.kneighbors(Q, 9), here.index.kneighbors(Q, 9), strict=True):
        np.testing.assert_array_equal(one, other)
    for shard in range(3):
        folders = [next(path.glob(f"shard-*-{shard:05d}")) for path in made]
        parts = [
            {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "manifest.json"}
            for folder in folders
        ]
        assert parts[0] == parts[1]


def test_a_join_on_a_cluster_is_that_of_one_machine(
    cluster: Any, made: tuple[Path, Path], tmp_path: Path
) -> None:
    outputs = []
    for name, options in (("a", ("--cluster", cluster.address)), ("b", ())):
        output = tmp_path / name
        done = run(
            *("join", "--model", str(made[0]), "--output", str(output), "-k", "4", "--no-progress"),
            *options,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(pq.read_table([str(p) for p in sorted(output.glob("*.parquet"))]))
    assert outputs[0].equals(outputs[1])


@contextmanager
def served(path: Path | str, address: str, replicas: int, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "kneighbors", "serve", str(path), "--port", "0"]
    command += ["--cluster", address, "--replicas", str(replicas), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        url = next(word.rstrip(".,") for word in line.split() if word.startswith("http://"))
        pool = urllib3.PoolManager(retries=False)
        until = time.monotonic() + 180
        while pool.request("GET", url + "/ping", timeout=30).status != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        process.stdout.close()


def hosts() -> list[int]:
    """Return the processes that hold shards and have nothing to do."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            # With the name of a method after it, it is opening its shard or busy.
            if words.rstrip(b"\0 ") == b"ray::ShardHost":
                found.append(int(folder.name))
    return found


def test_a_server_on_a_cluster_goes_on_when_a_host_and_a_node_are_lost(
    cluster: Any, made: tuple[Path, Path]
) -> None:
    X = making.corpus()
    expected = open_sharded(made[0]).index.kneighbors(X[:3], 5)[1]
    extra = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1")
    with served(made[0], cluster.address, 2) as url:
        stop, statuses, count = threading.Event(), [], [0]
        refusals: list[bytes] = []
        pool = urllib3.PoolManager(retries=False, maxsize=2)
        body = b'{"instances": %s, "k": 5}' % str(X[:3].tolist()).encode()

        def ask() -> None:
            while not stop.is_set():
                answer = pool.request(
                    "POST",
                    url + "/invocations",
                    body=body,
                    headers={"Content-Type": "application/json"},
                    timeout=60,
                )
                statuses.append(answer.status)
                if answer.status != 200:
                    refusals.append(answer.data)
                else:
                    found = [one["indices"] for one in answer.json()["predictions"]]
                    assert found == expected.tolist()
                    count[0] += 1

        def answered(more: int) -> None:
            before = count[0]
            while count[0] < before + more and set(statuses) <= {200}:
                stop.wait(0.05)

        before: set[int] = set()
        while len(before) < 6:  # three shards, each twice
            before.update(hosts())
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        os.kill(min(before), signal.SIGKILL)
        answered(20)
        # A node is lost only when the copy is there again: two copies, one loss.
        while before.issuperset(hosts()) and set(statuses) <= {200}:
            stop.wait(0.05)
        stop.wait(3)  # the server looks every half second whether it answers
        answered(20)
        cluster.remove_node(extra)
        answered(100)
        stop.set()
        for thread in threads:
            thread.join()
    assert refusals == []


def test_a_cluster_of_this_machine_alone_lives_as_long_as_its_server(
    made: tuple[Path, Path],
) -> None:
    X = making.corpus()
    expected = open_sharded(made[0]).index.kneighbors(X[:3], 5)[1].tolist()
    with served(made[0], "local", 1) as url:
        body = json.dumps({"instances": X[:3].tolist(), "k": 5})
        answer = urllib3.request("POST", url + "/invocations", body=body, timeout=60)
        assert [one["indices"] for one in answer.json()["predictions"]] == expected


def copies_up() -> int:
    """Return how many copies of shards there are on the whole cluster."""
    from ray._private.state import actors

    up = actors(actor_state_name="ALIVE").values()
    return sum(one["ActorClassName"] == "ShardHost" for one in up)


def metric(url: str, name: str) -> int:
    text = urllib3.request("GET", url + "/metrics", timeout=30).data.decode()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))


def test_a_generation_takes_the_place_of_another_between_requests_and_a_bad_one_does_not(
    cluster: Any, tmp_path: Path
) -> None:
    place, expected = tmp_path / "place", {}
    corpora = [making.corpus(seed=seed) for seed in range(3)]
    Q = making.corpus(seed=9)[:3]
    for seed, X in enumerate(corpora):
        making.write(tmp_path / str(seed), X, n_shards=3)
        found = making.whole(X).kneighbors(Q, 5)[1].tolist()
        with open_sharded(tmp_path / str(seed)) as artifact:
            expected[artifact.manifest.digest[:12]] = found
    first = publish(tmp_path / "0", place)
    before = (place / "CURRENT").read_bytes()
    bad = publish(tmp_path / "1", place)
    moved = (place / "CURRENT").read_bytes()
    (place / "CURRENT").write_bytes(before)
    assert bad.path is not None
    part = next(bad.path.glob("shard-*-00001/vectors.npy"))
    part.write_bytes(part.read_bytes()[:-1] + b"\x07")
    body = json.dumps({"instances": Q.tolist(), "k": 5}).encode()
    stop, seen, wrong = threading.Event(), [""], []
    pool = urllib3.PoolManager(retries=False, maxsize=2)

    def ask(url: str) -> None:
        while not stop.is_set():
            answer = pool.request(
                *("POST", f"{url}/invocations", body),
                headers={"Content-Type": "application/json"},
                timeout=60,
            )
            generation = answer.headers.get("X-Kneighbors-Generation", "")
            found = [one["indices"] for one in answer.json().get("predictions", ())]
            if answer.status != 200 or found != expected[generation]:
                wrong.append((answer.status, generation, answer.data))
            seen.append(generation)

    def until(condition: Callable[[], bool]) -> None:
        begun = time.monotonic()
        while not condition() and not wrong:
            assert time.monotonic() - begun < 120
            time.sleep(0.05)

    with served(place, cluster.address, 1, "--follow-seconds", "0.1") as url:
        threads = [threading.Thread(target=ask, args=(url,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: seen[-1] == first.digest)
        assert copies_up() == 3
        second = publish(tmp_path / "2", place)
        until(lambda: seen[-1] == second.digest)
        until(lambda: copies_up() == 3)
        (place / "CURRENT").write_bytes(moved)
        until(lambda: metric(url, "kneighbors_generation_refused_total") == 1)
        until(lambda: copies_up() == 3)
        asked = len(seen)
        until(lambda: len(seen) > asked + 20)
        assert metric(url, "kneighbors_generation_swaps_total") == 1
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert [*dict.fromkeys(seen[1:])] == [first.digest, second.digest]
