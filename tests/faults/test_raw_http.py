"""Damaged raw requests: each gets what a second reader of HTTP says, a 4xx, or a closed door.

Never is an answer a 5xx, does a connection hang, or is the next request of another connection
answered wrongly. 5,000 and more in a check, ten times as many in a soak.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzz.profiles import share
from kneighbors.artifact import save
from kneighbors.errors import KNeighborsError
from kneighbors.sagemaker.model import Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.counts import Counts
from support.server_mutation import RequestMutator, pieces
from support.server_process import ServerProcess
from support.server_raw import RawResponse
from support.server_requests import CLOSING, RawRequest, raw_requests
from support.server_second_reader import Asked, read_requests
from support.server_tls import write_certificate

pytestmark = pytest.mark.faults

Over = Callable[[bytes], bool]

#: How many are sent through each door.
PLAIN, GUARDED = 5_200, 400
CHUNKS = 2
TOKEN = "a-token-of-a-client"
LAST = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#: Seconds after which an answer, or the end of the connection, counts as never.
HANGS_S = 20.0
QUERY = json.dumps([1.0] * 16).encode()
JSON = {"Content-Type": "application/json"}
FIXED = frozenset({"/ping", "/metrics", "/openapi.json", "/execution-parameters", "/healthz"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X = np.random.default_rng(3).standard_normal((400, 16)).astype(np.float32)
    folder = tmp_path_factory.mktemp("raw")
    save(folder / "model", ExactIndex.build(ArrayRows(X), "cosine"))
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return Model.open(folder / "model")


def requests() -> list[RawRequest]:
    """Return the corpus, in which those that are answered are as many as the others."""
    found = raw_requests()
    return found + [one for one in found if one.status == 200] * 4


def settings() -> dict[str, Any]:
    return {"workers": 1, "max_body_bytes": 200_000, "header_timeout_s": 5, "body_timeout_s": 5}


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[ServerProcess]:
    (folder / "plain").mkdir()
    with ServerProcess(folder / "plain", folder / "model", **settings()) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[ServerProcess]:
    """A server with a token and TLS."""
    certificate, key = write_certificate(folder)
    (folder / "guarded").mkdir()
    with ServerProcess(
        folder / "guarded",
        folder / "model",
        environment={"KNEIGHBORS_AUTH_TOKEN": TOKEN},
        tls_certificate=str(certificate),
        tls_key=str(key),
        **settings() | {"header_timeout_s": 0.3, "body_timeout_s": 0.3},
    ) as running:
        yield running
        assert running.stop() == 0


def exchanged(s: socket.socket, parts: list[bytes], is_over: Over | None) -> tuple[bytes, bool]:
    """Send bytes, read until the server closes; return what came, and whether that never came.

    Where our half can be closed, it is; else `is_over` says when the answers are complete.
    """
    received = b""
    with s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.settimeout(HANGS_S)
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            for part in parts:
                s.sendall(part)
            if is_over is None:
                s.shutdown(socket.SHUT_WR)
        try:
            while part := s.recv(1 << 18):
                received += part
                if is_over is not None and is_over(received):
                    break
        except TimeoutError:
            return received, True
        except (ConnectionResetError, ssl.SSLError):
            pass  # it is closed, too
    return received, False


def responses_in(data: bytes, asked: list[Asked]) -> list[RawResponse]:
    """Take an answer apart; what is none raises."""
    found: list[RawResponse] = []
    while data:
        head, separator, rest = data.partition(b"\r\n\r\n")
        assert separator, data[:500]
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert "HTTP/1.1" == version
        if status == "100":
            data = rest
            continue
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        number = len(found)
        is_head = number < len(asked) and asked[number].method == "HEAD"
        closes = headers.get("connection") == "close"
        length = int(headers["content-length"])
        # A refusal of what never became a request has a body, whatever h11 makes of its method.
        if is_head and not (closes and len(rest) == length > 0):
            length = 0
        assert len(rest) >= length, data[:500]
        found.append(RawResponse(int(status), headers, rest[:length]))
        data = rest[length:]
        assert not (closes and data), data[:500]
    return found


def are_complete(asked: list[Asked], data: bytes) -> bool:
    """Tell whether answers are whole, and the last one says that it is the last."""
    try:
        found = responses_in(data, asked)
    except AssertionError:
        return False
    return bool(found) and found[-1].headers.get("connection") == "close"


def check(one: RawResponse, asked: Asked | None, model: Model) -> None:
    """Assert that an answer is right for what a second reader says was asked."""
    assert "server" not in one.headers
    assert one.headers["x-request-id"]
    assert b"Traceback" not in one.body
    if one.status != 200:
        assert 400 <= one.status < 500, one
        if one.body:
            assert {"code", "message", "where"} == set(one.error)
            if one.error["code"] in CLOSING | {"header-timeout", "body-timeout"}:
                return
        assert asked is not None, one
        return
    assert asked is not None, one
    if asked.path in FIXED:  # their bodies are not waited for
        assert asked.method in ("GET", "HEAD", "POST"), one
        return
    assert ("POST", "/invocations", True) == (asked.method, asked.path, asked.is_complete)
    try:
        reply = model.invoke(
            asked.body,
            asked.header(b"content-type"),
            asked.header(b"accept"),
            asked.header(b"x-amzn-sagemaker-custom-attributes"),
        )
    except KNeighborsError as error:
        raise AssertionError(f"answered, but to be refused: {error!r}") from error
    assert reply.body == one.body


def trial(
    counts: Counts,
    mutator: RequestMutator,
    count: int,
    open_: Callable[[], socket.socket],
    next_: Callable[[], bytes],
    judge: Callable[[RawResponse, Asked | None], None],
    *,
    may_close_half: bool,
) -> int:
    """Send damaged requests; return how many were answered by 200."""
    answered = 0
    right = next_()
    try:
        for _ in range(count):
            data = mutator.next()
            if not may_close_half:
                # Who cannot say that nothing more comes has to wait for an end, or a deadline.
                data += LAST + b"\r\n\r\n\0"
            counts.tried += 1
            asked = read_requests(data)
            is_over = None if may_close_half else partial(are_complete, asked)
            said, hangs = exchanged(open_(), pieces(data, mutator.random), is_over)
            try:
                assert not hangs
                for number, one in enumerate(responses_in(said, asked)):
                    counts.status_5xx += one.status >= 500
                    judge(one, asked[number] if number < len(asked) else None)
                    answered += one.status == 200
                assert right == next_()
            except Exception as error:
                counts.hangs += hangs
                counts.wrong += not hangs
                about = (
                    f"request {counts.tried} of {counts.door}: {data[:3000]!r} got {said[:2000]!r}"
                )
                raise AssertionError(about) from error
    finally:
        counts.record()
    return answered


def ask(connection: HTTPConnection, headers: dict[str, str]) -> bytes:
    """Ask one question, again and again on one connection."""
    connection.request("POST", "/invocations", QUERY, headers)
    response = connection.getresponse()
    assert 200 == response.status
    return response.read()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_damaged_request_is_answered_as_it_can_be_read_or_refused(
    plain: ServerProcess, model: Model, chunk: int
) -> None:
    corpus = [one.data for one in requests()]
    connection = HTTPConnection("127.0.0.1", plain.port, timeout=HANGS_S)
    counts = Counts("damaged raw requests", "http")
    with closing(connection):
        answered = trial(
            counts,
            RequestMutator(f"plain {chunk}", corpus),
            share(PLAIN // CHUNKS),
            lambda: socket.create_connection(("127.0.0.1", plain.port), HANGS_S),
            partial(ask, connection, JSON),
            lambda one, asked: check(one, asked, model),
            may_close_half=True,
        )
    assert 0.1 < answered / counts.tried < 1.5
    assert "Traceback" not in plain.output()
    assert 0 == plain.metric("kneighbors_buffered_bytes")


def test_none_gets_past_a_token_that_it_does_not_bring(
    guarded: ServerProcess, model: Model, folder: Path
) -> None:
    pair = base64.b64encode(f":{TOKEN}".encode())
    brought = [b"Authorization: Bearer " + TOKEN.encode(), b"Authorization: Basic " + pair]
    corpus = [
        one.data.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1) if line else one.data
        for number, one in enumerate(requests())
        for line in [(*brought, b"", brought[0])[number % 4]]
    ]
    context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))

    def open_() -> socket.socket:
        s = socket.create_connection(("127.0.0.1", guarded.port), HANGS_S)
        return context.wrap_socket(s, server_hostname="127.0.0.1")

    def judge(one: RawResponse, asked: Asked | None) -> None:
        check(one, asked, model)
        if one.status == 200:
            assert asked is not None
            is_known = f"bearer {TOKEN}" == (asked.header(b"authorization") or "").replace(
                "Bearer", "bearer"
            )
            assert is_known or asked.path == "/ping"

    connection = HTTPSConnection("127.0.0.1", guarded.port, timeout=HANGS_S, context=context)
    brings = JSON | {"Authorization": f"Bearer {TOKEN}"}
    counts = Counts("damaged raw requests", "https with a token")
    with closing(connection):
        answered = trial(
            counts,
            RequestMutator("guarded", corpus),
            share(GUARDED),
            open_,
            partial(ask, connection, brings),
            judge,
            may_close_half=False,
        )
    assert answered > counts.tried // 10
    assert TOKEN not in guarded.output()
    assert "Traceback" not in guarded.output()
