"""Connections that say nothing, or a byte now and then, change nothing for the others."""

from __future__ import annotations

import json
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from kneighbors.artifact import save
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.counts import Counts
from support.server_process import ServerProcess, wait_for
from support.server_raw import connect

pytestmark = pytest.mark.faults

IDLE, DRIPPING = 2_000, 500
#: Descriptors of this process that are none of these connections.
SPARE = 200
GET = b"GET /ping HTTP/1.1\r\nHost: a\r\n"
QUERY = json.dumps([1.0] * 16).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def many_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + DRIPPING + SPARE
    if before[1] != resource.RLIM_INFINITY and before[1] < wanted:
        pytest.skip(f"needs {wanted} open files, and may have {before[1]}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], wanted), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_files")
def test_two_thousand_idle_and_five_hundred_dripping_ones_change_nothing(tmp_path: Path) -> None:
    X = np.random.default_rng(3).standard_normal((400, 16)).astype(np.float32)
    save(tmp_path / "model", ExactIndex.build(ArrayRows(X), "cosine"))
    counts = Counts("idle and dripping connections", "http", IDLE + DRIPPING)
    with ServerProcess(
        tmp_path, tmp_path / "model", workers=2, header_timeout_s=2.0, keep_alive_s=600.0
    ) as server:
        right = server.request("POST", "/invocations", QUERY, JSON)
        held = [connect(server.port) for _ in range(IDLE)]
        for s in held:
            s.sendall(GET + b"\r\n")
        for s in held:
            assert b"HTTP/1.1 200" == s.recv(65_536)[:12]
        drips = Drips(server.port)
        try:
            wait_for(lambda: drips.rounds > 3, "the drips to drip")
            for _ in range(200):
                assert right[2] == server.request("POST", "/invocations", QUERY, JSON)[2]
                assert 200 == server.ping()
            assert server.metric("kneighbors_connections") >= IDLE
            wait_for(lambda: drips.refused > DRIPPING, "each to have been let go of once", 60)
        except AssertionError:
            counts.wrong += 1
            raise
        finally:
            drips.stop()
            counts.record()
        for s in held[::50]:
            s.sendall(GET + b"\r\n")
            assert b"HTTP/1.1 200" == s.recv(65_536)[:12]
        for s in held:
            s.close()
        wait_for(lambda: server.metric("kneighbors_connections") == 1, "all to be forgotten")
        assert "Traceback" not in server.output()


class Drips:
    """Connections that each send a byte of a head now and then, and come back when let go of."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self.rounds = 0
        self.refused = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        held = [self._open() for _ in range(DRIPPING)]
        while not self._stop.wait(0.2):
            for number, s in enumerate(held):
                if not self._drip(s):
                    s.close()
                    self.refused += 1
                    held[number] = self._open()
            self.rounds += 1
        for s in held:
            s.close()

    def _open(self) -> socket.socket:
        s = connect(self._port)
        s.sendall(GET + b"X-")
        s.setblocking(False)
        return s

    def _drip(self, s: socket.socket) -> bool:
        """Send a byte; return whether the server goes on waiting."""
        with suppress(OSError):
            s.send(b"a")
            try:
                s.recv(65_536)
            except BlockingIOError:
                return True
        return False
