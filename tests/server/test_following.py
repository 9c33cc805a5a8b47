"""A server on a place: it takes up what is published, and refuses what is no good."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import save
from kneighbors.errors import ArtifactError, ClusterError, StorageError
from kneighbors.generations import publish, rollback
from kneighbors.sagemaker.model import Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.server.following import Following
from kneighbors.server.run import serve
from support import artifact_making as making
from support.server_process import ServerProcess, wait_for

SWAPS, REFUSED = "kneighbors_generation_swaps_total", "kneighbors_generation_refused_total"
QUICKLY: dict[str, Any] = {"follow_seconds": 0.05, "log_level": "info"}


def make(folder: Path, seed: int, n_features: int = 4, metric: str = "euclidean") -> Path:
    """Save an artifact of which every row lies at `seed`, so that an answer tells whose it is."""
    X = np.full((30, n_features), float(seed), np.float32)
    save(folder / str(seed), ExactIndex.build(ArrayRows(X), metric))
    return folder / str(seed)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [make(folder, seed) for seed in range(4)]


def ask(server: ServerProcess, n_features: int = 4) -> tuple[int, float, str]:
    """Return status, how far away the nearest row is, and the generation of the answer."""
    body = json.dumps({"instances": [[0.0] * n_features], "k": 1}).encode()
    status, headers, answer = server.request(
        "POST", "/invocations", body, {"Content-Type": "application/json"}
    )
    distance = json.loads(answer)["predictions"][0]["distances"][0] if status == 200 else -1.0
    return status, distance, headers.get("x-kneighbors-generation", "")


def wait_for_refusals(server: ServerProcess, count: int) -> None:
    wait_for(lambda: server.metric(REFUSED) == count, "the refusal")


def test_workers_take_up_what_is_published_and_what_is_gone_back_to(
    models: list[Path], tmp_path: Path
) -> None:
    first = publish(models[1], tmp_path / "place")
    with ServerProcess(tmp_path, tmp_path / "place", workers=2, **QUICKLY) as server:
        assert (200, 2.0, first.digest) == ask(server)
        second = publish(models[2], tmp_path / "place")
        wait_for(lambda: server.metric(SWAPS) == 2, "both workers to swap")
        assert {(200, 4.0, second.digest)} == {ask(server) for _ in range(6)}
        rollback(tmp_path / "place")
        wait_for(lambda: server.metric(SWAPS) == 4, "both workers to go back")
        assert {(200, 2.0, first.digest)} == {ask(server) for _ in range(6)}
        assert f'generation="{first.digest}"' in server.request("GET", "/metrics")[2].decode()
        for path in ("/ping", "/metrics", "/nowhere"):
            assert first.digest == server.request("GET", path)[1]["x-kneighbors-generation"]
        refused = server.request("POST", "/invocations", b"[[1]]")
        assert (400, first.digest) == (refused[0], refused[1]["x-kneighbors-generation"])
        assert 0 == server.metric(REFUSED)
        assert 0 == server.stop()


def test_a_bad_generation_is_refused_once_and_the_old_one_is_served_on(
    models: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    first = publish(models[1], place)
    (tmp_path / "others").mkdir()
    wide = make(tmp_path / "others", 5, n_features=6)
    cosine = make(tmp_path / "others", 6, metric="cosine")
    before = (place / "CURRENT").read_bytes()
    bad = publish(models[2], place)
    moved = (place / "CURRENT").read_bytes()
    (place / "CURRENT").write_bytes(before)
    assert bad.path is not None
    vectors = bad.path / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"\x07")
    with ServerProcess(tmp_path, place, workers=1, **QUICKLY) as server:
        for count, (spoil, code) in enumerate(
            [
                (lambda: (place / "CURRENT").write_bytes(moved), "artifact-damaged"),
                (lambda: publish(wide, place), "generation-differs"),
                (lambda: publish(cosine, place), "generation-differs"),
                (lambda: (place / "CURRENT").write_text("no pointer"), "pointer-invalid"),
            ],
            start=1,
        ):
            spoil()  # type: ignore[no-untyped-call]
            wait_for_refusals(server, count)
            assert code in server.output()
            assert (200, 2.0, first.digest) == ask(server)
            assert 200 == server.ping()
        # Time enough for some looks; it is not tried again, nor said again.
        (tmp_path / "place" / "CURRENT").touch()
        looks = server.output().count("the old one is served on")
        assert 4 == looks == server.metric(REFUSED)
        third = publish(models[3], place)
        wait_for(lambda: server.metric(SWAPS) == 1, "a good one")
        assert (200, 6.0, third.digest) == ask(server)
        assert 4 == server.metric(REFUSED)
        assert "Traceback" not in server.output()


def test_all_of_a_generation_is_read_before_it_is_served(tmp_path: Path) -> None:
    place, heard, taken = tmp_path / "place", threading.Event(), []
    for seed in range(2):
        save(tmp_path / str(seed), making.index(n_samples=12_000, n_features=64, seed=seed))
    publish(tmp_path / "0", place)
    following = Following(str(place), tmp_path, Model.open, 0.01)
    following()
    before = (place / "CURRENT").read_bytes()
    bad = publish(tmp_path / "1", place)
    moved = (place / "CURRENT").read_bytes()
    (place / "CURRENT").write_bytes(before)
    assert bad.path is not None
    vectors = bad.path / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"\x07")
    Model.open(bad.path).warm_up()  # which does not touch what is damaged
    (place / "CURRENT").write_bytes(moved)

    def tell(name: str) -> None:
        taken.append(name)
        heard.set()

    following.follow(heard, lambda hosted: tell("taken"), tell)
    assert [REFUSED] == taken


def test_what_a_cluster_cannot_open_now_is_tried_again(models: list[Path], tmp_path: Path) -> None:
    place, stop = tmp_path / "place", threading.Event()
    told: list[str] = []
    publish(models[1], place)
    failures = [ClusterError("cluster-worker", "Expected machines, got none.")] * 2

    def open_path(path: Path) -> Model:
        if told and failures:
            raise failures.pop()
        return Model.open(path)

    following = Following(str(place), tmp_path, open_path, 0.01)
    following()
    told.append("begun")
    second = publish(models[2], place)

    def take(hosted: Any) -> None:
        assert second.digest == hosted.facts["generation"]
        stop.set()

    following.follow(stop, take, told.append)
    assert ["begun", REFUSED] == told
    assert [] == failures


def test_what_was_opened_and_is_refused_is_closed(models: list[Path], tmp_path: Path) -> None:
    place, heard, closed = tmp_path / "place", threading.Event(), []
    publish(models[1], place)
    (tmp_path / "others").mkdir()
    wide = make(tmp_path / "others", 5, n_features=6)

    def open_path(path: Path) -> Model:
        model = Model.open(path)
        assert model.artifact is not None
        closing = model.artifact.close

        def close() -> None:
            closed.append(path)
            closing()

        model.artifact.close = close  # type: ignore[method-assign]
        return model

    following = Following(str(place), tmp_path, open_path, 0.01)
    following()
    refused = publish(wide, place)
    following.follow(heard, lambda hosted: None, lambda name: heard.set())
    assert [refused.path] == closed


def test_a_place_that_cannot_be_read_for_a_while_is_read_later(
    models: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    publish(models[1], place)
    with ServerProcess(tmp_path, place, workers=1, **QUICKLY) as server:
        (place / "CURRENT").rename(place / "away")
        wait_for(lambda: server.metric("kneighbors_place_unread_total") >= 2, "vain looks")
        assert (200, 2.0) == ask(server)[:2]
        assert 200 == server.ping()
        assert 1 == server.output().count("the place cannot be read")
        (place / "away").rename(place / "CURRENT")
        publish(models[2], place)
        wait_for(lambda: ask(server)[1] == 4.0, "the next generation")
        assert 0 == server.metric(REFUSED)


def test_a_worker_that_replaces_a_dead_one_serves_what_the_others_serve(
    models: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    first = publish(models[1], place)
    with ServerProcess(tmp_path, place, workers=2, **QUICKLY) as server:
        (place / "CURRENT").write_text("no pointer")
        wait_for(lambda: server.metric(REFUSED) == 2, "both to refuse")
        old = server.workers()
        os.kill(old[0], signal.SIGKILL)
        wait_for(
            lambda: (
                len(server.workers()) == 2
                and set(server.workers()) != set(old)
                and server.metric("kneighbors_workers_ready") == 2
            ),
            "the new worker",
        )
        assert {(200, 2.0, first.digest)} == {ask(server) for _ in range(10)}
        second = publish(models[2], place)
        wait_for(lambda: server.metric(SWAPS) == 2, "both to swap")
        assert {(200, 4.0, second.digest)} == {ask(server) for _ in range(10)}


def test_a_request_ends_on_the_generation_that_it_began_with(
    models: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    first = publish(models[1], place)
    with ServerProcess(tmp_path, place, workers=1, **QUICKLY) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        body = json.dumps({"instances": [[0.0] * 4], "k": 1}).encode()
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:10])
        wait_for(lambda: server.metric("kneighbors_in_flight") == 2, "the request to begin")
        second = publish(models[2], place)
        wait_for(lambda: server.metric(SWAPS) == 1, "the swap")
        assert (200, 4.0, second.digest) == ask(server)
        connection.send(body[10:])
        response = connection.getresponse()
        assert first.digest == response.getheader("X-Kneighbors-Generation")
        assert [2.0] == json.loads(response.read())["predictions"][0]["distances"]
        connection.close()
        assert (200, 4.0) == ask(server)[:2]


def test_every_answer_under_swaps_is_of_the_generation_that_it_names(
    models: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    known = {publish(model, place).digest: 2.0 * seed for seed, model in enumerate(models)}
    with (
        ServerProcess(tmp_path, place, workers=2, follow_seconds=0.05) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        asked = [pool.submit(ask, server) for _ in range(400)]
        for turn in range(6):
            publish(models[turn % 3], place)
        answers = [one.result() for one in asked]
    assert {200} == {status for status, _, _ in answers}
    assert [] == [one for one in answers if known[one[2]] != one[1]]


def test_a_bad_place_is_refused_when_the_server_starts(models: list[Path], tmp_path: Path) -> None:
    place = tmp_path / "place"
    publish(models[1], place)
    (place / "CURRENT").write_text("no pointer")
    with pytest.raises(ArtifactError) as caught:
        serve(place, port=0)
    assert "pointer-invalid" == caught.value.code
    shutil.rmtree(place)
    with pytest.raises(StorageError):
        serve(place, port=0)
