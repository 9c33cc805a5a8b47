"""Batches of a real server: the answers, the counts, and who leaves or dies meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kneighbors.formats import NPY
from kneighbors.sagemaker.model import Model
from support.server_process import ServerProcess, wait_for
from support.wire_bodies import npy_body

SLOW = json.dumps({"instances": [[1.0] * 16], "k": 2}).encode()
QUICK = json.dumps({"instances": [[1.0] * 16], "k": 3}).encode()
NAMED = {"Content-Type": NPY, "Accept": NPY}


def test_answers_are_those_of_the_model_however_they_were_joined(
    artifact: Path, model: Model, tmp_path: Path
) -> None:
    random = np.random.default_rng(8)
    bodies = [npy_body(random.standard_normal((rows, 16))) for rows in (1, 1, 1, 2, 70) * 20]
    with (
        ServerProcess(tmp_path, artifact, workers=1, batch_rows=16) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = pool.map(lambda body: server.request("POST", "/invocations", body, NAMED), bodies)
        for body, (status, _, answer) in zip(bodies, answers, strict=True):
            assert (200, model.invoke(body, NPY).body) == (status, answer)
        assert 100 == server.metric("kneighbors_request_queries_count")
        # The warm-up asks the model directly.
        assert 1500 == server.metric("kneighbors_batch_queries_sum")
        most = server.metric('kneighbors_batch_queries_bucket{le="16"}')
        assert most == server.metric("kneighbors_batch_queries_count") >= 20 * 70 / 16


def test_what_arrives_during_a_search_shares_the_next(artifact: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, artifact, workers=1, threads=2, delay_s=1.5) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        first = pool.submit(server.request, "POST", "/invocations", SLOW)
        wait_for(lambda: server.metric("kneighbors_batch_requests_count") == 1, "a search")
        rest = [pool.submit(server.request, "POST", "/invocations", QUICK) for _ in range(5)]
        assert {200} == {answer.result()[0] for answer in [first, *rest]}
        assert 2 == server.metric("kneighbors_batch_requests_count")
        assert 6 == server.metric("kneighbors_batch_requests_sum")


def test_a_client_that_leaves_while_it_waits_is_not_searched_for(
    artifact: Path, tmp_path: Path
) -> None:
    with (
        ServerProcess(tmp_path, artifact, workers=1, threads=2, delay_s=1.5) as server,
        ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(server.request, "POST", "/invocations", SLOW)
        wait_for(lambda: server.metric("kneighbors_batch_requests_count") == 1, "a search")
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            gone.sendall(head % len(QUICK) + QUICK)
            wait_for(lambda: server.metric("kneighbors_in_flight") == 3, "the request to wait")
            # Closed plainly it might be a client that has said all and still listens.
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stays = pool.submit(server.request, "POST", "/invocations", QUICK)
        assert [200, 200] == [first.result()[0], stays.result()[0]]
        assert 1 == server.metric("kneighbors_disconnects_total")
        assert 2 == server.metric("kneighbors_batch_requests_sum")


def test_of_a_worker_that_is_killed_only_its_own_requests_are_lost(
    artifact: Path, tmp_path: Path
) -> None:
    def ask() -> int:
        try:
            return server.request("POST", "/invocations", SLOW)[0]
        except (http.client.HTTPException, ConnectionError):
            return 0

    with (
        ServerProcess(tmp_path, artifact, workers=2, delay_s=1.5) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        asked = [pool.submit(ask) for _ in range(6)]
        wait_for(lambda: server.metric("kneighbors_in_flight") == 7, "all to be in flight")
        os.kill(server.workers()[0], signal.SIGKILL)
        statuses = {answer.result() for answer in asked}
        # Which worker has how many of them, the kernel decides; it may be all or none.
        assert statuses <= {0, 200}
        assert 200 == server.request("POST", "/invocations", QUICK)[0]
        wait_for(lambda: server.metric("kneighbors_workers_ready") == 2, "another worker")
