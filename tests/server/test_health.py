"""What /healthz says of a server that starts, is well, is full, is damaged or ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kneighbors.server.app import create_app
from kneighbors.server.board import Board, State
from kneighbors.server.health import STATES, health
from kneighbors.server.settings import Settings
from kneighbors.server.telemetry import NUMBERS
from support.server_process import ServerProcess, wait_for

VECTOR = json.dumps([1.0] * 16).encode()


def said(server: ServerProcess) -> tuple[int, dict[str, Any]]:
    status, headers, body = server.request("GET", "/healthz")
    assert "application/json" == headers["content-type"]
    return status, json.loads(body)


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in answer["checks"]}


def test_a_server_that_is_well_says_so_and_why(server: ServerProcess) -> None:
    status, answer = said(server)
    assert (200, "ok") == (status, answer["status"])
    assert {"model": "ok", "workers": "ok", "queue": "ok"}.items() <= states(answer).items()
    whys = {one["name"]: one["why"] for one in answer["checks"]}
    assert "2 of 2 answer" == whys["workers"]
    assert "0 of at most 64 requests wait in this worker" == whys["queue"]
    generation = server.request("GET", "/metrics")[2].decode().partition('generation="')[2][:12]
    assert generation == answer["generation"]


def test_a_server_that_starts_says_what_it_waits_for(artifact: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with ServerProcess(tmp_path, artifact, ready=False, workers=1, gate=str(gate)) as server:
        server.port = wait_for(lambda: _port(server.process.pid), "the server to listen")
        status, answer = wait_for(lambda: _tried(server), "an answer")
        assert (503, "starting") == (status, answer["status"])
        assert {"model": "starting", "workers": "starting", "queue": "ok"} == states(answer)
        assert 503 == server.ping()
        gate.touch()
        server.wait_until_ready()
        assert (200, "ok") == (said(server)[0], said(server)[1]["status"])


def _tried(server: ServerProcess) -> tuple[int, dict[str, Any]] | None:
    try:
        return said(server)
    except OSError:
        return None


def _port(pid: int) -> int:
    """Return the port that a process listens on; 0 if it does not yet."""
    import psutil

    ports = [c.laddr.port for c in psutil.Process(pid).net_connections() if c.status == "LISTEN"]
    return int(ports[0]) if ports else 0


def test_a_damaged_artifact_is_said_without_its_path(artifact: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(artifact, damaged)
    part = damaged / "vectors-blocks.npy"
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    with ServerProcess(tmp_path, damaged, ready=False, workers=1) as server:
        server.port = wait_for(lambda: _port(server.process.pid), "the server to listen")
        wait_for(lambda: "artifact-damaged" in server.output(), "the damage to be found")
        status, answer = said(server)
        assert (503, "ill") == (status, answer["status"])
        assert {"model": "ill", "workers": "ill", "queue": "ok"} == states(answer)
        text = json.dumps(answer)
        assert "see the log" in text
        assert str(tmp_path) not in text
        assert "vectors" not in text


@pytest.mark.parametrize(
    ("others", "was_open", "expected"),
    [
        ([State.READY, State.READY], True, ("ok", 200)),
        ([State.READY, State.LOADING], False, ("starting", 503)),
        ([State.READY, State.FAILED], False, ("ill", 503)),
        ([State.READY, State.ABSENT], True, ("degraded", 200)),
        ([State.READY, State.FAILED], True, ("degraded", 200)),
    ],
)
def test_the_state_of_all_workers_is_known_to_each(
    others: list[State], was_open: bool, expected: tuple[str, int]
) -> None:
    board = Board(3, NUMBERS)
    slots = [board.take() for _ in range(3)]
    service = create_app(Settings(workers=3), slot=slots[0]).service
    if was_open:
        for slot in slots:
            slot.state = State.READY
        assert board.opened
    for slot, state in zip(slots, [State.READY, *others], strict=True):
        slot.state = state
    status, answer = health(service)
    assert expected == (answer["status"], status)
    assert answer["status"] in STATES


def test_a_full_queue_and_a_server_that_stops_are_told() -> None:
    slot = Board(1, NUMBERS).take()
    service = create_app(Settings(max_waiting=2, threads=1), slot=slot).service
    slot.state = State.READY
    service.pool.count(3)
    status, answer = health(service)
    assert (200, "degraded") == (status, states(answer)["queue"])
    slot.state = State.STOPPING
    status, answer = health(service)
    assert (503, "ill") == (status, states(answer)["model"])


def test_what_is_measured_is_told_with_how_much_it_rests_on(artifact: Path) -> None:
    slot = Board(1, NUMBERS).take()
    service = create_app(Settings(model=str(artifact)), slot=slot).service
    slot.state = State.READY
    telemetry = service.telemetry
    for bin_ in map(str, range(10)):
        telemetry.set("nearest_distances", 26.0, ("held-out", bin_))
    telemetry.set("nearest_distances", 7.0, ("now", "3"))
    telemetry.set("recheck_window", 3.0, ("checks",))
    whys = {one["name"]: one["why"] for one in health(service)[1]["checks"]}
    assert "3 of 20 answers are checked yet" == whys["index_recall"]
    assert "7 of 200 queries are seen yet" == whys["query_drift"]
    for part, value in (("checks", 100.0), ("wanted", 1000.0), ("found", 987.0)):
        telemetry.set("recheck_window", value, (part,))
    for bin_ in map(str, range(10)):
        telemetry.set("nearest_distances", 50.0, ("now", bin_))
    whys = {one["name"]: one["why"] for one in health(service)[1]["checks"]}
    assert "0.9870, of the last 100 answers checked" == whys["index_recall"]
    assert "0.000, of the last 500 queries" == whys["query_drift"]
