"""More than the server can do at once: pings go on, the excess is refused, nothing is lost."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from kneighbors.artifact import save
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.server.cores import available_cores
from support.server_process import ServerProcess, wait_for

SLOW = json.dumps({"instances": [[1.0] * 16], "k": 2}).encode()
QUICK = json.dumps({"instances": [[1.0] * 16], "k": 3}).encode()


def test_ping_answers_while_every_thread_searches(artifact: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, artifact, workers=2, threads=1, delay_s=0.8) as server,
        ThreadPoolExecutor(12) as pool,
    ):
        answers = [pool.submit(server.request, "POST", "/invocations", SLOW) for _ in range(4)]
        wait_for(lambda: server.metric("kneighbors_in_flight") == 5, "all to be in flight")
        slowest = 0.0
        while not all(answer.done() for answer in answers):
            begin = time.monotonic()
            assert 200 == server.ping()
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 1.0
        assert [200] * 4 == [answer.result()[0] for answer in answers]


def test_ping_answers_within_two_seconds_under_full_load(server: ServerProcess) -> None:
    body = json.dumps({"instances": [[1.0] * 16] * 500, "k": 50}).encode()
    headers = {"Content-Type": "application/json"}
    stop = threading.Event()

    def ask() -> int:
        count = 0
        while not stop.is_set():
            status = server.request("POST", "/invocations", body, headers)[0]
            assert status in (200, 503)
            count += 1
        return count

    with ThreadPoolExecutor(16) as pool:
        clients = [pool.submit(ask) for _ in range(16)]
        try:
            for _ in range(40):
                begin = time.monotonic()
                assert 200 == server.ping()
                assert time.monotonic() - begin < 2
        finally:
            stop.set()
        assert sum(client.result() for client in clients) >= 16


def test_what_does_not_fit_into_the_queue_is_refused_at_once(
    artifact: Path, tmp_path: Path
) -> None:
    with (
        ServerProcess(
            tmp_path,
            artifact,
            workers=1,
            threads=1,
            max_waiting=2,
            batch_rows=1,
            delay_s=0.6,
        ) as server,
        ThreadPoolExecutor(10) as pool,
    ):

        def ask() -> tuple[int, float, dict[str, str]]:
            begin = time.monotonic()
            status, headers, _ = server.request("POST", "/invocations", SLOW)
            return status, time.monotonic() - begin, headers

        results = [future.result() for future in [pool.submit(ask) for _ in range(10)]]
        refused = [result for result in results if result[0] == 503]
        assert 3 == sum(result[0] == 200 for result in results)
        assert 7 == len(refused)
        assert max(seconds for _, seconds, _ in refused) < 0.5
        assert {"1"} == {headers["retry-after"] for _, _, headers in refused}
        assert 7 == server.metric('kneighbors_errors_total{code="overloaded"}')
        assert 200 == server.request("POST", "/invocations", QUICK)[0]
        assert 0 == server.metric("kneighbors_waiting")


def test_an_answer_that_takes_too_long_is_not_waited_for(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(
        tmp_path, artifact, workers=1, threads=1, delay_s=1.2, answer_timeout_s=0.3
    ) as server:
        begin = time.monotonic()
        status, _, body = server.request("POST", "/invocations", SLOW)
        assert (503, "answer-timeout") == (status, json.loads(body)["error"]["code"])
        assert time.monotonic() - begin < 1.1
        assert 200 == server.ping()
        wait_for(
            lambda: server.request("POST", "/invocations", QUICK)[0] == 200,
            "the thread to be free again",
        )


def test_bodies_beyond_the_room_for_them_are_refused(artifact: Path, tmp_path: Path) -> None:
    body = SLOW + b" " * 100_000
    with (
        ServerProcess(
            tmp_path, artifact, workers=1, threads=1, delay_s=0.5, max_buffered_bytes=250_000
        ) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        futures = [pool.submit(server.request, "POST", "/invocations", body) for _ in range(4)]
        statuses = sorted(future.result()[0] for future in futures)
        assert [200, 200, 503, 503] == statuses
        assert 0 == server.metric("kneighbors_buffered_bytes")


@pytest.mark.parametrize("blas_threads", [1, 2])
def test_a_worker_has_the_threads_it_was_told_to(tmp_path: Path, blas_threads: int) -> None:
    if blas_threads > available_cores():
        pytest.skip("a BLAS starts no more threads than there are cores")
    X = np.random.default_rng(0).standard_normal((4000, 256))
    plain = tmp_path / "plain"
    save(plain, ExactIndex.build(ArrayRows(X), "cosine"))  # items would bring pyarrow's threads
    with ServerProcess(
        tmp_path, plain, workers=1, threads=3, blas_threads=blas_threads, max_body_bytes=1 << 20
    ) as server:
        body = json.dumps({"instances": [[1.0] * 256] * 400, "k": 5}).encode()
        assert 200 == server.request("POST", "/invocations", body)[0]
        (pid,) = server.workers()

        def own() -> int:
            names = []
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):  # it ends meanwhile
                    names.append((task / "comm").read_text())
            # The kernel's own, which some versions of uvloop ask for, are shown as ours.
            return sum(not name.startswith("iou-") for name in names)

        # The event loop's, three that search, and what the BLAS adds to the one that calls it;
        # one more does what can wait.
        most = 1 + 3 + 1 + blas_threads - 1
        wait_for(lambda: 1 + 3 <= own() <= most, "as many threads as there should be")


def test_the_workers_map_one_copy(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=2) as server:
        maps = [Path(f"/proc/{pid}/maps").read_text() for pid in server.workers()]
        parts = [set(re.findall(r"(\d+) +(/memfd:kneighbors\S*)", text)) for text in maps]
        assert len(parts[0]) >= 1
        assert parts[0] == parts[1]
