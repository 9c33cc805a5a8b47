"""Answers that are sent while they are computed: the same bytes, sooner, or visibly broken."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.sagemaker.model import Model
from kneighbors.server.streaming import stream_of
from support.server_process import ServerProcess, wait_for
from support.server_raw import connect, receive_all, split

JSON, CSV, LINES, NPY = (
    "application/json",
    "text/csv",
    "application/jsonlines",
    "application/x-npy",
)
Q = np.random.default_rng(11).standard_normal((1000, 16)).astype(np.float32)
IDS = [f"w{row:03d}" for row in range(150)]


def csv(rows: int) -> bytes:
    return b"".join(b",".join(b"%.6f" % x for x in row) + b"\n" for row in Q[:rows].tolist())


def lines(rows: int) -> bytes:
    return b"".join(json.dumps({"features": row}).encode() + b"\n" for row in Q[:rows].tolist())


def instances(rows: int, **parameters: object) -> bytes:
    return json.dumps({"instances": Q[:rows].tolist(), **parameters}).encode()


def ids(**parameters: object) -> bytes:
    return json.dumps({"ids": IDS, **parameters}).encode()


def streamed(
    model: Model, body: bytes, content_type: str, accept: str | None, attributes: str | None = None
) -> list[bytes] | None:
    """Return the pieces of an answer, None if it is not streamed."""
    query = model.read(body, content_type, accept, attributes)
    stream = stream_of(model, query, 1)
    return None if stream is None else list(iter(stream.next, b""))


@pytest.mark.parametrize(
    ("content_type", "body", "accept", "attributes"),
    [
        (LINES, lines(65), None, None),
        (LINES, lines(128), LINES, "k=1"),
        (LINES, lines(1000), JSON, "k=3"),
        (CSV, csv(150), None, "k=400"),
        (CSV, csv(500), "text/csv; header=present", "k=2"),
        (CSV, csv(129), LINES, "radius=0.4;k=3"),
        (CSV, csv(129), JSON, "exclude_ids=w001,w002;k=4;include_items=true"),
        (CSV, csv(200), "application/x-ndjson", None),
        (JSON, instances(192, k=5), None, None),
        (JSON, instances(300, k=5, radius=0.3), None, None),
        (JSON, ids(k=400, exclude_self=True), None, None),
        (JSON, ids(k=300, exclude_self=True, include_items=["name"]), LINES, None),
        (JSON, ids(k=3, include_items=True), JSON, None),
    ],
)
def test_the_pieces_together_are_the_answer(
    model: Model, content_type: str, body: bytes, accept: str | None, attributes: str | None
) -> None:
    pieces = streamed(model, body, content_type, accept, attributes)
    assert pieces is not None
    assert len(pieces) > 1
    assert model.invoke(body, content_type, accept, attributes).body == b"".join(pieces)


@pytest.mark.parametrize(
    ("content_type", "body", "accept", "attributes"),
    [
        (LINES, lines(64), None, None),  # one piece
        (CSV, csv(100), NPY, None),  # all distances come before the first index
        (CSV, csv(100), "application/json", None),
        (CSV, csv(100), LINES, "radius=0.4"),  # may turn out to be too much
        (JSON, ids(k=400, exclude_self=True), "text/csv, */*;q=0.1", None),  # may be ragged
    ],
)
def test_an_answer_that_cannot_be_begun_is_computed_first(
    model: Model, content_type: str, body: bytes, accept: str | None, attributes: str | None
) -> None:
    assert None is streamed(model, body, content_type, accept, attributes)


def test_only_answers_from_the_threshold_on_are_streamed(model: Model) -> None:
    query = model.read(csv(100), CSV, None, "k=10")
    assert stream_of(model, query, 1000) is not None
    assert stream_of(model, query, 1001) is None
    assert stream_of(model, query, 0) is None


def test_a_query_with_many_neighbours_has_a_piece_to_itself(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kneighbors.server.streaming._NEIGHBOURS", 500)
    pieces = streamed(model, csv(65), CSV, None, "k=400")
    assert pieces is not None
    assert 65 == len(pieces)
    assert model.invoke(csv(65), CSV, None, "k=400").body == b"".join(pieces)


# Over HTTP


@pytest.fixture(scope="module")
def running(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("streaming")
    with ServerProcess(folder, artifact, workers=1) as server:
        yield server
        assert 0 == server.stop(), server.output()
        assert "" == server.output().replace(server.out, "")


@pytest.mark.parametrize(("rows", "is_streamed"), [(999, False), (1000, True)])
def test_a_large_answer_comes_in_chunks_and_is_the_models(
    running: ServerProcess, model: Model, rows: int, is_streamed: bool
) -> None:
    status, headers, got = running.request(
        "POST", "/invocations", csv(rows), {"Content-Type": CSV, "Accept": LINES}
    )
    assert (200, LINES) == (status, headers["content-type"])
    assert is_streamed == (headers.get("transfer-encoding") == "chunked")
    assert is_streamed == ("content-length" not in headers)
    assert model.invoke(csv(rows), CSV, LINES).body == got


def test_the_connection_is_kept_after_a_streamed_answer(running: ServerProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    for _ in range(3):
        connection.request("POST", "/invocations", csv(1000), {"Content-Type": CSV})
        response = connection.getresponse()
        assert (200, 1000) == (response.status, response.read().count(b"\n"))
    connection.close()


def test_an_old_client_gets_the_answer_whole(running: ServerProcess) -> None:
    with connect(running.port) as s:
        head = b"POST /invocations HTTP/1.0\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n"
        s.sendall(head % len(csv(1000)) + csv(1000))
        response, rest = split(receive_all(s))
    assert (200, b"", 1000) == (response.status, rest, response.body.count(b"\n"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (csv(1000) + b"1,2\n", "body-ragged"),
        (csv(1000) + b"nan" + b",1" * 15 + b"\n", "body-csv"),
        (csv(1000) + b"0" + b",0" * 15 + b"\n", "array-zero-vector"),
    ],
)
def test_a_mistake_in_the_last_row_is_refused_before_the_first_byte(
    running: ServerProcess, body: bytes, code: str
) -> None:
    status, headers, got = running.request("POST", "/invocations", body, {"Content-Type": CSV})
    assert (400, code) == (status, json.loads(got)["error"]["code"])
    assert "content-length" in headers


def test_an_answer_begins_before_it_is_computed(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1, delay_s=0.5, stream_from=1) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {"Content-Type": CSV, "X-Amzn-SageMaker-Custom-Attributes": "k=2"}
        connection.request("POST", "/invocations", csv(320), headers)
        response = connection.getresponse()
        first = response.read1(100)
        assert first
        # It is being answered still, and others are answered meanwhile.
        assert 2 == server.metric("kneighbors_in_flight")
        assert 320 == (first + response.read()).count(b"\n")
        connection.close()
        wait_for(lambda: server.metric("kneighbors_in_flight") == 1, "the end to be counted")
        assert 1 == server.metric("kneighbors_request_queries_count")
        assert 320 == server.metric("kneighbors_request_queries_sum")
        assert 2.5 <= server.metric('kneighbors_stage_seconds_sum{stage="search"}')
        assert 0 == server.metric("kneighbors_buffered_bytes")


def test_a_fault_in_the_middle_leaves_the_answer_without_its_end(
    artifact: Path, tmp_path: Path
) -> None:
    with ServerProcess(tmp_path, artifact, workers=1, fails_at=3, stream_from=1) as server:
        headers = {"Content-Type": CSV, "X-Amzn-SageMaker-Custom-Attributes": "k=2"}
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("POST", "/invocations", csv(320), headers)
        response = connection.getresponse()
        assert 200 == response.status
        with pytest.raises(http.client.IncompleteRead) as broken:
            response.read()
        assert 128 == broken.value.partial.count(b"\n")
        connection.close()
        assert 200 == server.request("POST", "/invocations", csv(320), headers)[0]
        assert 1 == server.metric('kneighbors_errors_total{code="internal"}')
        assert 0 == server.metric("kneighbors_buffered_bytes")
        assert re.search(r"an answer was broken off .* code=internal", server.output())


def test_a_fault_in_the_first_piece_is_a_plain_500(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1, fails_at=1, stream_from=1) as server:
        headers = {"Content-Type": CSV, "X-Amzn-SageMaker-Custom-Attributes": "k=2"}
        status, _, body = server.request("POST", "/invocations", csv(320), headers)
        assert (500, "internal") == (status, json.loads(body)["error"]["code"])


def test_a_client_that_leaves_ends_the_computation(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1, delay_s=0.1, stream_from=1) as server:
        with connect(server.port) as s:
            head = (
                "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\n"
                "X-Amzn-SageMaker-Custom-Attributes: k=2\r\n"
                f"Content-Length: {len(csv(1000))}\r\n\r\n"
            )
            s.sendall(head.encode() + csv(1000))
            assert s.recv(100)
        wait_for(lambda: server.metric("kneighbors_disconnects_total") == 1, "it to be noticed", 1)
        assert server.metric('kneighbors_stage_seconds_sum{stage="search"}') < 1.4  # of 1.6


def test_a_signal_in_the_middle_lets_the_answer_be_finished(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1, delay_s=0.2, stream_from=1) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {"Content-Type": CSV, "X-Amzn-SageMaker-Custom-Attributes": "k=2"}
        connection.request("POST", "/invocations", csv(320), headers)
        response = connection.getresponse()
        first = response.read1(10)
        server.process.terminate()
        assert 320 == (first + response.read()).count(b"\n")
        connection.close()
        assert 0 == server.process.wait(10)


def test_a_signal_gives_an_endless_answer_up_visibly(artifact: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "workers": 1,
        "delay_s": 1.0,
        "stream_from": 1,
        "drain_timeout_s": 0.3,
    }
    with ServerProcess(tmp_path, artifact, **settings) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {"Content-Type": CSV, "X-Amzn-SageMaker-Custom-Attributes": "k=2"}
        connection.request("POST", "/invocations", csv(1000), headers)
        response = connection.getresponse()
        assert response.read1(10)
        server.process.terminate()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
        connection.close()
        assert 0 == server.process.wait(10)
        assert "Traceback" not in server.output()


def test_a_streamed_answer_takes_little_memory(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1) as server:
        (pid,) = server.workers()

        def most() -> int:
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
            assert found is not None
            return int(found[1]) >> 10

        headers = {
            "Content-Type": CSV,
            "Accept": LINES,
            "X-Amzn-SageMaker-Custom-Attributes": "k=100",
        }
        server.request("POST", "/invocations", csv(100), headers)
        before = most()
        _, answered, got = server.request("POST", "/invocations", csv(1000) * 4, headers)
        assert "chunked" == answered["transfer-encoding"]
        assert len(got) > 10 << 20
        assert most() - before < 20
