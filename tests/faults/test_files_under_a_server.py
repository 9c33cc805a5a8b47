"""Files of an artifact cut short and written to while a server answers from it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support import artifact_making as making
from support.server_process import ServerProcess, wait_for
from support.whole_artifact import N_FEATURES, save_whole

pytestmark = pytest.mark.faults

QUERIES = making.corpus(6, N_FEATURES, seed=1)
BODIES = [
    json.dumps({"instances": QUERIES[:1].tolist(), "parameters": {"k": 5}}).encode(),
    json.dumps({"instances": QUERIES.tolist(), "parameters": {"k": 5}}).encode(),
    b'{"ids": ["wine-0007"], "parameters": {"k": 3, "include_items": true}}',
    b'{"terms": ["limes", "oak"], "parameters": {"k": 3}}',
]
JSON = {"Content-Type": "application/json"}


class Load:
    """Two clients that ask the same questions again and again, and keep what is not as expected."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._stop = threading.Event()
        self.expected = [self._ask(body) for body in BODIES]
        self.answered = 0
        self.refused: list[tuple[int, str]] = []
        self.wrong: list[Any] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]

    def _ask(self, body: bytes) -> tuple[int, Any]:
        status, _, answer = self._server.request("POST", "/invocations", body, JSON)
        return status, json.loads(answer)

    def _run(self) -> None:
        while not self._stop.is_set():
            for body, expected in zip(BODIES, self.expected, strict=True):
                status, answer = found = self._ask(body)
                if found == expected:
                    self.answered += 1
                elif status in (500, 503):
                    self.refused.append((status, answer["error"]["code"]))
                else:
                    self.wrong.append(found)

    def wait_for_more(self) -> None:
        """Wait until every question was answered, or refused, once more by each client."""
        seen = self.answered + len(self.refused) + len(self.wrong)
        more = 3 * len(BODIES)
        wait_for(
            lambda: self.answered + len(self.refused) + len(self.wrong) > seen + more, "answers"
        )

    @contextmanager
    def running(self) -> Iterator[Load]:
        assert [200] * len(BODIES) == [status for status, _ in self.expected]
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, ServerProcess]]:
    pytest.importorskip("faiss")
    save_whole(tmp_path / "a")
    # Checking answers again in spare time may read all vectors, into a copy that nobody can reach.
    with ServerProcess(tmp_path, tmp_path / "a", workers=2, recheck_share=0.0) as server:
        yield tmp_path / "a", server


def spoil(file: Path, way: str) -> None:
    data = file.read_bytes()
    file.write_bytes(b"" if way == "cut" else bytes(255 - byte for byte in data))


@pytest.mark.parametrize("way", ["cut", "overwritten"])
def test_resident_parts_are_out_of_reach(served: tuple[Path, ServerProcess], way: str) -> None:
    path, server = served
    workers = server.workers()
    files = sorted(file for file in path.iterdir() if file.name != "vectors.npy")
    with Load(server).running() as load:
        for file in files:
            spoil(file, way)
            load.wait_for_more()
    assert ([], []) == (load.wrong, load.refused)
    assert workers == server.workers()
    assert 200 == server.request("GET", "/ping")[0]


@pytest.mark.parametrize("way", ["cut", "overwritten"])
def test_vectors_that_change_are_refused(served: tuple[Path, ServerProcess], way: str) -> None:
    path, server = served
    workers = server.workers()
    with Load(server).running() as load:
        load.wait_for_more()
        spoil(path / "vectors.npy", way)
        wait_for(lambda: load.refused, "a refusal")
        load.wait_for_more()
    assert [] == load.wrong
    assert {(500, "artifact-damaged"), (503, "not-ready")} >= set(load.refused)
    assert (500, "artifact-damaged") in load.refused
    assert workers == server.workers()
    assert 503 == server.request("GET", "/ping")[0]
