"""What a client may do with a connection, and how long it may take."""

from __future__ import annotations

import socket
import struct
import time
from functools import partial
from pathlib import Path

import pytest

from support.server_process import ServerProcess, wait_for
from support.server_raw import (
    connect,
    exchange,
    is_closed_by_server,
    read_response,
    receive_all,
    split,
)

GET = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
VECTOR = b"[" + b",".join([b"1"] * 16) + b"]"


def post(body: bytes, more: bytes = b"") -> bytes:
    return POST + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_pipelined_requests_are_answered_in_their_order(server: ServerProcess) -> None:
    data = post(VECTOR) + GET + post(b"[1,") + b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" + LAST
    responses = exchange(server.port, data)
    assert [200, 200, 400, 404, 200] == [response.status for response in responses]
    assert responses[0].body.startswith(b"[[")
    assert "body-json" == responses[2].error["code"]


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_pipelined_requests_may_be_cut_anywhere(server: ServerProcess, piece: int) -> None:
    chunked = b"5\r\n" + VECTOR[:5] + b"\r\n%x;a=b\r\n" % (len(VECTOR) - 5) + VECTOR[5:]
    data = (
        GET
        + POST
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + chunked
        + b"\r\n0\r\nX: trailer\r\n\r\n"
        + post(VECTOR)
        + LAST
    )
    responses = exchange(server.port, data, piece=piece)
    assert [200] * 4 == [response.status for response in responses]
    assert responses[1].body == responses[2].body


def test_five_hundred_pipelined_requests_are_all_answered(server: ServerProcess) -> None:
    with connect(server.port) as s:
        s.sendall(post(VECTOR) * 500 + LAST)
        received = receive_all(s)
    statuses = []
    while received:
        response, received = split(received)
        statuses.append(response.status)
    assert [200] * 501 == statuses


def test_a_trailer_is_no_header(server: ServerProcess) -> None:
    data = (
        POST
        + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        + b"%x\r\n" % len(VECTOR)
        + VECTOR
        + b"\r\n0\r\nContent-Type: text/nonsense\r\nX-Amzn-SageMaker-Custom-Attributes: k=0\r\n\r\n"
    )
    (response,) = exchange(server.port, data)
    assert 200 == response.status


def test_a_client_that_has_closed_its_half_is_answered(server: ServerProcess) -> None:
    with connect(server.port) as s:
        s.sendall(post(VECTOR) + GET)
        s.shutdown(socket.SHUT_WR)
        first, rest = split(receive_all(s))
    second, rest = split(rest)
    assert (200, 200, b"") == (first.status, second.status, rest)


def test_a_connection_on_which_no_more_can_come_is_not_kept_after_a_refusal(
    server: ServerProcess,
) -> None:
    for _ in range(5):
        with connect(server.port) as s:
            s.sendall(post(VECTOR) + b"GET /ping HTTP/1.1\r\n\r\n")
            s.shutdown(socket.SHUT_WR)
            first, rest = split(receive_all(s))
            second, rest = split(rest)
        assert (200, 400, b"") == (first.status, second.status, rest)
    wait_for(partial(has, server, "kneighbors_connections", 1), "the connections to end", 1.5)


def has(server: ServerProcess, sample: str, value: float) -> bool:
    return server.metric(sample) == value


def reset(s: socket.socket) -> None:
    """Close so that the other side gets an error."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
@pytest.mark.parametrize("sent", [b"", b"GET /pi", POST, post(VECTOR)[:-5], post(VECTOR)])
def test_a_client_that_leaves_harms_nobody(
    server: ServerProcess, leave: object, sent: bytes
) -> None:
    assert callable(leave)
    for _ in range(5):
        s = connect(server.port)
        s.sendall(sent)
        leave(s)
    assert 200 == server.ping()
    for name, own in (("connections", 1), ("in_flight", 1), ("buffered_bytes", 0)):
        sample = f"kneighbors_{name}"
        wait_for(partial(has, server, sample, own), f"{sample} to be {own}")


def test_a_client_that_leaves_in_the_middle_of_a_body_is_counted(server: ServerProcess) -> None:
    before = server.metric("kneighbors_disconnects_total")
    with connect(server.port) as s:
        s.sendall(post(VECTOR)[:-5])
    wait_for(
        lambda: server.metric("kneighbors_disconnects_total") == before + 1,
        "the client to be missed",
    )


def drip(s: socket.socket, seconds: float = 8.0) -> float:
    """Send a byte now and then until the server says something; return after how long."""
    begin = time.monotonic()
    s.settimeout(0.1)
    while time.monotonic() - begin < seconds:
        try:
            s.sendall(b"a")
            s.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            continue
        break
    s.settimeout(10)
    return time.monotonic() - begin


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nX-", "header-timeout"),
        (b"G", "header-timeout"),
        (POST + b"Content-Length: 99\r\n\r\n", "body-timeout"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n50\r\n", "body-timeout"),
        (GET + b"GET /ping HTTP/1.1\r\nX-", "header-timeout"),
    ],
)
def test_dripping_gets_408_within_the_deadline(
    server: ServerProcess, head: bytes, code: str
) -> None:
    with connect(server.port) as s:
        s.sendall(head)
        if head.startswith(GET):
            assert 200 == read_response(s).status
        if code == "header-timeout" and head == b"G":
            s.sendall(b"ET /ping HTTP/1.1\r\nX-")
        seconds = drip(s)
        response, rest = split(receive_all(s))
    assert (408, b"") == (response.status, rest)
    assert code == response.error["code"]
    assert 0.8 < seconds < 3


def test_a_slow_but_steady_body_is_read(server: ServerProcess) -> None:
    body = b"[" + b",".join([b"1" + b"." + b"0" * 4000] * 16) + b"]"
    with connect(server.port) as s:
        s.sendall(post(body)[: -len(body)])
        for start in range(0, len(body), 8_000):  # 40 kB/s, for longer than the bare deadline
            s.sendall(body[start : start + 8_000])
            time.sleep(0.2)
        assert 200 == read_response(s).status


def test_a_connection_on_which_nothing_is_said_is_closed_without_a_word(
    server: ServerProcess,
) -> None:
    with connect(server.port) as s:
        assert b"" == receive_all(s)


def test_an_idle_connection_is_closed_after_a_while_and_not_before(server: ServerProcess) -> None:
    with connect(server.port) as s:
        for _ in range(3):
            s.sendall(GET)
            assert 200 == read_response(s).status
        begin = time.monotonic()
        assert is_closed_by_server(s)
        assert 1.2 < time.monotonic() - begin < 4


def test_an_answer_that_is_not_read_is_given_up(server: ServerProcess) -> None:
    query = b"[" + VECTOR + b"]"
    matrix = b"[" + b",".join([VECTOR] * 900) + b"]"
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", server.port))
        # Each answer has 7 MB, more than the buffers on the way.
        s.sendall(post(matrix, b"X-Amzn-SageMaker-Custom-Attributes: k=400\r\n") * 2)
        before = server.metric("kneighbors_connections")
        wait_for(
            lambda: server.metric("kneighbors_connections") < before,
            "the connection to be given up",
            10,
        )
    assert 200 == server.request("POST", "/invocations", query, {})[0]


def test_expect_100_continue_is_answered_before_the_body(server: ServerProcess) -> None:
    head = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(VECTOR)
    with connect(server.port) as s:
        s.sendall(head)
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == s.recv(1000)
        s.sendall(VECTOR)
        assert 200 == read_response(s).status


def test_expect_100_continue_is_refused_at_once_for_a_body_that_is_too_large(
    server: ServerProcess,
) -> None:
    head = POST + b"Expect: 100-continue\r\nContent-Length: 200001\r\n\r\n"
    with connect(server.port) as s:
        s.sendall(head)
        assert 413 == read_response(s).status


def test_an_early_answer_leaves_the_connection_usable(server: ServerProcess) -> None:
    # The path is refused before the body has been read.
    request = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n"
    with connect(server.port) as s:
        s.sendall(request)
        assert 404 == read_response(s).status
        s.sendall(b"x" * 150_000 + GET)
        assert 200 == read_response(s).status


def test_an_early_answer_does_not_stop_the_clock_of_the_body(server: ServerProcess) -> None:
    with connect(server.port) as s:
        s.sendall(b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n")
        assert 404 == read_response(s).status
        assert is_closed_by_server(s)


def test_one_connection_too_many_gets_503(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1, max_connections=3) as server:
        held = [connect(server.port) for _ in range(3)]
        for s in held:
            s.sendall(GET)
            assert 200 == read_response(s).status
        with connect(server.port) as s:
            response, _ = split(receive_all(s))
        assert (503, "connections-exhausted") == (response.status, response.error["code"])
        assert "1" == response.headers["retry-after"]
        held[0].close()
        held[1].sendall(GET)
        assert 200 == read_response(held[1]).status
        wait_for(lambda: server.ping() == 200, "room for another connection")
        for s in held:
            s.close()
