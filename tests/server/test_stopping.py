"""How the server ends, and how it outlives what happens to its processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from support.server_process import ServerProcess, wait_for
from support.server_raw import connect, read_response, receive_all, split

GET = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b'{"instances": [[%s]], "k": 2}' % b",".join([b"1"] * 16)
POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


def post(body: bytes) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n" % len(body) + body


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def in_flight(server: ServerProcess, count: int) -> None:
    """Wait until that many requests are being answered, the one that asks not counted."""
    wait_for(lambda: server.metric("kneighbors_in_flight") == count + 1, f"{count} requests")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_answered_before_the_end(
    artifact: Path, tmp_path: Path, number: int
) -> None:
    with (
        ServerProcess(tmp_path, artifact, workers=2, delay_s=0.6) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = [pool.submit(server.request, "POST", "/invocations", SLOW) for _ in range(8)]
        in_flight(server, 8)
        begin = time.monotonic()
        server.process.send_signal(number)
        wait_for(lambda: is_refused(server.port), "new connections to be refused", 2)
        assert [200] * 8 == [answer.result()[0] for answer in answers]
        assert ["close"] * 8 == [answer.result()[1]["connection"] for answer in answers]
        assert 0 == server.process.wait(10), server.output()
        assert time.monotonic() - begin < 6
    assert "Traceback" not in server.output()


def test_what_was_sent_on_kept_connections_is_answered_before_the_end(
    artifact: Path, tmp_path: Path
) -> None:
    with ServerProcess(tmp_path, artifact, workers=2) as server:
        kept = [connect(server.port) for _ in range(10)]
        for s in kept:
            s.sendall(GET)
            assert 200 == read_response(s).status
        # While the processes stand still nothing is read; the requests lie in the kernel when the
        # signal arrives.
        workers = server.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        for s in kept:
            s.sendall(post(SLOW) + post(SLOW))
        fresh = [connect(server.port) for _ in range(4)]
        for s in fresh:
            s.sendall(post(SLOW))
        server.process.send_signal(signal.SIGTERM)
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
        for s, count in [*((s, 2) for s in kept), *((s, 1) for s in fresh)]:
            data = receive_all(s)
            for _ in range(count):
                response, data = split(data)
                assert 200 == response.status
            assert b"" == data
            s.close()
        assert 0 == server.process.wait(10)


def test_an_idle_connection_does_not_hold_the_end_up(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=2) as server:
        idle, kept, begun = (connect(server.port) for _ in range(3))
        kept.sendall(GET)
        assert 200 == read_response(kept).status
        begun.sendall(b"GET /ping HTTP/1.1\r\nHo")
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert b"" == receive_all(idle)
        assert b"" == receive_all(kept)
        begun.sendall(b"st: a\r\n\r\n")
        response, _ = split(receive_all(begun))
        assert (503, "stopping") == (response.status, response.error["code"])
        assert 0 == server.process.wait(10)
        assert time.monotonic() - begin < 3
        for s in (idle, kept, begun):
            s.close()


def test_a_second_and_a_third_signal_do_no_harm(artifact: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, artifact, workers=2, delay_s=1.5) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        answers = [pool.submit(server.request, "POST", "/invocations", SLOW) for _ in range(4)]
        in_flight(server, 4)
        workers = server.workers()
        for _ in range(3):
            server.process.send_signal(signal.SIGTERM)
            for pid in workers:  # as `docker stop` and a shell signal the whole group
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            time.sleep(0.05)
        assert [200] * 4 == [answer.result()[0] for answer in answers]
        assert 0 == server.process.wait(10), server.output()


def test_what_takes_too_long_is_given_up(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1, delay_s=30.0, drain_timeout_s=0.5) as server:
        with connect(server.port) as s:
            s.sendall(post(SLOW))
            in_flight(server, 1)
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            response, _ = split(receive_all(s))
            assert (503, "stopping") == (response.status, response.error["code"])
            assert 0 == server.process.wait(10)
            assert time.monotonic() - begin < 5
        assert "1 requests were not answered" in server.output()
        assert "Traceback" not in server.output()


def test_a_signal_while_the_model_is_being_loaded_ends_at_once(
    artifact: Path, tmp_path: Path
) -> None:
    with ServerProcess(
        tmp_path, artifact, ready=False, workers=2, gate=str(tmp_path / "never")
    ) as server:
        wait_for(lambda: len(server.workers()) == 2, "the workers")
        begin = time.monotonic()
        assert 0 == server.stop()
        assert time.monotonic() - begin < 5
        assert "" == server.out


def test_a_signal_at_any_moment_of_the_start_leaves_nobody_behind(
    artifact: Path, tmp_path: Path
) -> None:
    for number, delay_s in enumerate((0.05, 0.15, 0.2, 0.25, 0.3, 0.35)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with ServerProcess(folder, artifact, ready=False, workers=2) as server:
            time.sleep(delay_s)
            server.process.send_signal(signal.SIGTERM)
            # Before Python has run a line of ours, the signal's own default ends the process.
            assert server.process.wait(30) in (0, -signal.SIGTERM), server.output()
        assert "Traceback" not in server.output()
        group = server.process.pid
        wait_for(partial(_is_empty, group), "the process group to end", 10)


def _is_empty(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_killed_worker_is_replaced_and_ping_never_fails(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=2) as server:
        first = server.workers()
        os.kill(first[0], signal.SIGKILL)
        wait_for(lambda: is_gone(first[0]), "the worker to be gone")

        def is_replaced() -> bool:
            assert 200 == server.ping()
            now = server.workers()
            return len(now) == 2 and set(now) != set(first)

        wait_for(is_replaced, "another worker")
        wait_for(lambda: server.metric("kneighbors_workers_ready") == 2, "it to be ready")
        for _ in range(10):
            assert 200 == server.request("POST", "/invocations", SLOW)[0]
        assert 3 == server.metric("kneighbors_worker_starts_total")
        assert 0 == server.stop()


def test_requests_of_a_killed_worker_end_and_others_go_on(artifact: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, artifact, workers=2, delay_s=0.6) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        answers = [pool.submit(server.request, "POST", "/invocations", SLOW) for _ in range(4)]
        in_flight(server, 4)
        os.kill(server.workers()[0], signal.SIGKILL)
        faults = [fault for answer in answers if (fault := answer.exception()) is not None]
        assert all(isinstance(fault, ConnectionError) for fault in faults)
        assert 200 == server.request("POST", "/invocations", SLOW)[0]
        wait_for(lambda: server.metric("kneighbors_in_flight") == 1, "the gauges to be right")


def test_counters_outlive_the_worker_that_counted(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1) as server:
        name = 'kneighbors_requests_total{route="invocations",status="200"}'
        for _ in range(5):
            assert 200 == server.request("POST", "/invocations", SLOW)[0]
        wait_for(lambda: server.metric(name) == 5, "all to be counted")
        (pid,) = server.workers()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: server.workers() not in ([], [pid]), "another worker")
        wait_for(lambda: server.ping() == 200, "it to be ready")
        assert 5 == server.metric(name)


def test_workers_do_not_outlive_their_parent(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=2) as server:
        workers = server.workers()
        server.process.kill()
        server.process.wait()
        wait_for(lambda: all(map(is_gone, workers)), "the workers to end", 10)
        assert is_refused(server.port)


def test_a_worker_that_cannot_be_replaced_leaves_the_others_answering(
    artifact: Path, tmp_path: Path
) -> None:
    import shutil

    model = tmp_path / "model"
    shutil.copytree(artifact, model)
    with ServerProcess(tmp_path, model, workers=2) as server:
        (model / "manifest.json").rename(model / "hidden.json")
        os.kill(server.workers()[0], signal.SIGKILL)
        wait_for(lambda: "artifact-unknown" in server.output(), "the replacement to fail")
        for _ in range(10):
            assert 200 == server.ping()
            assert 200 == server.request("POST", "/invocations", SLOW)[0]
        (model / "hidden.json").rename(model / "manifest.json")
        wait_for(lambda: server.metric("kneighbors_workers_ready") == 2, "another try")
        assert 0 == server.stop()


def test_hang_ups_and_the_like_are_ignored(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1) as server:
        before = server.workers()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN):
            server.process.send_signal(number)
        server.process.send_signal(signal.SIGWINCH)
        time.sleep(0.2)
        assert 200 == server.ping()
        assert before == server.workers()
        assert json.loads(server.request("GET", "/openapi.json")[2])
