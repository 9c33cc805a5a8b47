"""Bytes that common servers let through, and what this one says to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.server_process import ServerProcess, wait_for
from support.server_raw import connect, exchange, receive_all, split
from support.server_requests import FOLDER, RawRequest, raw_requests

ALL = raw_requests()
REFUSED = [one for one in ALL if one.is_closing and one.status != 200]
ANSWERED = [one for one in ALL if one not in REFUSED]
NAMED = {one.name: one for one in ALL}
GET = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def by_name(one: RawRequest) -> str:
    return one.name


def test_there_are_as_many_requests_as_files() -> None:
    assert len(list(FOLDER.rglob("*.http"))) == len(NAMED) > 240


@pytest.mark.parametrize("one", REFUSED, ids=by_name)
def test_what_can_be_misread_is_refused_and_the_connection_closed(
    server: ServerProcess, one: RawRequest
) -> None:
    # What follows on the connection must never be taken for a request.
    (response,) = exchange(server.port, one.data + GET)
    assert (one.status, one.code) == (response.status, response.error["code"])
    assert response.headers["connection"] == "close"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    assert "server" not in response.headers
    assert set(response.error) == {"code", "message", "where"}
    assert server.ping() == 200


@pytest.mark.parametrize("name", ["no_host", "length_and_chunked", "chunk_size_0x3", "tls"])
def test_it_is_refused_alike_when_it_comes_byte_by_byte(server: ServerProcess, name: str) -> None:
    one = NAMED[name]
    # Bytes that follow a refusal could be lost with the answer; these end where they fail.
    whole = exchange(server.port, one.data)
    pieces = exchange(server.port, one.data[:300], piece=1)
    assert [one.status] == [each.status for each in whole] == [each.status for each in pieces]


@pytest.mark.parametrize("one", ANSWERED, ids=by_name)
def test_what_can_be_read_in_one_way_is_answered(server: ServerProcess, one: RawRequest) -> None:
    data, expected = (one.data, []) if one.is_closing else (one.data + LAST, [200])
    if b"\r\nConnection: close\r\n" in one.data:
        expected = []
    responses = exchange(server.port, data)
    assert [one.status, *expected] == [response.status for response in responses]
    assert responses[-1].headers["connection"] == "close"
    if one.code is not None:
        assert one.code == responses[0].error["code"]


@pytest.mark.parametrize(
    "name",
    ["empty_line_before", "vector_in_chunks", "a_hundred_headers", "header_of_15_kb", "vector"],
)
def test_it_is_answered_alike_in_pieces(server: ServerProcess, name: str) -> None:
    responses = exchange(server.port, NAMED[name].data + LAST, piece=7)
    assert [200, 200] == [response.status for response in responses]


@pytest.mark.parametrize("path", ["/ping", "/metrics", "/nothing"])
def test_head_is_answered_without_a_body(server: ServerProcess, path: str) -> None:
    request = b"HEAD %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path.encode()
    with connect(server.port) as s:
        s.sendall(request)
        response, rest = split(receive_all(s), head_only=True)
    assert (404 if path == "/nothing" else 200, b"") == (response.status, rest)


def test_a_trace_returns_nothing_of_what_was_sent(server: ServerProcess) -> None:
    with connect(server.port) as s:
        s.sendall(NAMED["trace_with_a_secret"].data + LAST)
        assert b"secret" not in receive_all(s)


def test_neither_a_line_of_the_log_nor_a_metric_grows_with_what_clients_say(
    artifact: Path, tmp_path: Path
) -> None:
    with ServerProcess(tmp_path, artifact, workers=1, log_level="info") as server:
        for number in range(50):
            path = b"/%d%s%%0d%%0aX" % (number, b"x" * 4_000)
            head = b"%s %s HTTP/1.1\r\nHost: a\r\nX-Request-Id: %%0d%s\r\n" % (
                b"M" * 300,
                path,
                b"i" * 4_000,
            )
            exchange(server.port, head + b"Connection: close\r\n\r\n")
        metrics = server.request("GET", "/metrics")[2].decode()
        wait_for(lambda: server.output().count("info request") >= 51, "all lines")
        log = server.output().splitlines()
    assert max(map(len, log)) < 1_000
    assert "xxxx" not in metrics
    assert 50 == _requests(metrics, 'route="other",status="404"')


def _requests(metrics: str, labels: str) -> int:
    name = f"kneighbors_requests_total{{{labels}}} "
    return next(int(one.removeprefix(name)) for one in metrics.splitlines() if name in one)
