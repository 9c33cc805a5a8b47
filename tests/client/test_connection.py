"""What the client does when the other side fails it."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from kneighbors.client import Client, ServiceAnswerError
from kneighbors.errors import ServiceError
from support.wire_bodies import npy_body
from support.wire_server import closed_port, hang_up, response, scripted, send

Q = np.ones((1, 4))
ANSWER = np.array([[[0.5, 1.0]], [[7, 8]]])
GOOD = response(npy_body(ANSWER), "application/x-npy")


def test_a_refused_connection_is_tried_three_times() -> None:
    start = time.monotonic()
    url = f"http://127.0.0.1:{closed_port()}"
    with Client(url) as client, pytest.raises(ServiceError, match="Is it running") as caught:
        client.kneighbors(Q)
    assert caught.value.code == "service-unreachable"
    assert 0.3 <= time.monotonic() - start < 5


def test_a_name_that_cannot_exist_is_unreachable() -> None:
    with Client(f"http://{'x' * 64}.invalid:1") as client, pytest.raises(ServiceError) as caught:
        client.kneighbors(Q)
    assert caught.value.code == "service-unreachable"


def test_a_connection_closed_while_idle_is_opened_again() -> None:
    with scripted(send(GOOD), hang_up(), send(GOOD)) as service, Client(service.url) as client:
        for _ in range(2):
            distances, indices = client.kneighbors(Q)
            assert (ANSWER[0].tolist(), [[7, 8]]) == (distances.tolist(), indices.tolist())
        assert len(service.requests) == 3


def test_a_service_that_keeps_hanging_up_is_unreachable() -> None:
    with scripted(hang_up(), hang_up(), send(GOOD)) as service, Client(service.url) as client:
        with pytest.raises(ServiceError) as caught:
            client.kneighbors(Q)
        assert caught.value.code == "service-unreachable"
        assert len(service.requests) == 2
        # The client is none the worse for it.
        assert client.kneighbors(Q)[1].tolist() == [[7, 8]]


@pytest.mark.parametrize("cut", [1, len(GOOD) // 2, len(GOOD) - 1])
def test_an_answer_cut_short_is_asked_for_again(cut: int) -> None:
    with scripted(hang_up(GOOD[:cut]), send(GOOD)) as service, Client(service.url) as client:
        assert client.kneighbors(Q)[1].tolist() == [[7, 8]]


def test_an_answer_cut_in_its_headers_is_none() -> None:
    # Without a length, an answer ends where the connection does, and may well be complete.
    with scripted(hang_up(GOOD[:20])) as service, Client(service.url) as client:
        with pytest.raises(ServiceError) as caught:
            client.kneighbors(Q)
        assert caught.value.code == "service-answer"


def test_an_answer_that_takes_too_long_is_not_asked_for_again() -> None:
    def wait(connection: object, request: bytes) -> bool:
        return True

    with scripted(wait, send(GOOD)) as service:
        with Client(service.url, timeout=0.2) as client, pytest.raises(ServiceError) as caught:
            client.kneighbors(Q)
        assert caught.value.code == "service-timeout"
        assert "0.2 s" in caught.value.message
        assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-npy"),
        (b"<html>", "text/html"),
        (npy_body(ANSWER)[:-1], "application/x-npy"),
        (npy_body(ANSWER[:, 0]), "application/x-npy"),
        (npy_body(np.concatenate([ANSWER, ANSWER], axis=1)), "application/x-npy"),
        (npy_body(ANSWER[:1]), "application/x-npy"),
        (npy_body(ANSWER.astype("f4")), "application/x-npy"),
        (b"[[0.5],[1]]", "application/json"),
    ],
    ids=["empty", "html", "cut", "2-d", "two-queries", "no-indices", "float32", "json"],
)
def test_an_answer_that_is_none_is_refused(body: bytes, content_type: str) -> None:
    with scripted(send(response(body, content_type))) as service, Client(service.url) as client:
        with pytest.raises(ServiceError) as caught:
            client.kneighbors(Q)
        assert caught.value.code == "service-answer"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"[" * 100_000,
        b'{"predictions": []}',
        b'{"predictions": [1]}',
        b'{"predictions": [{}]}',
        b'{"predictions": {"a": 1}}',
        b'{"predictions": [{"distances": ["x"], "indices": [1], "ids": [1]}]}',
        b'{"predictions": [{"distances": [1], "indices": [1e400], "ids": [1]}]}',
        b'{"predictions": [{"distances": [1], "indices": [99999999999999999999], "ids": [1]}]}',
        b'{"predictions": [{"distances": [1], "indices": [1], "ids": null}]}',
    ],
    ids=range(12),
)
def test_predictions_that_are_none_are_refused(body: bytes) -> None:
    answer = response(body, "application/json")
    with scripted(send(answer)) as service, Client(service.url) as client:
        with pytest.raises(ServiceError) as caught:
            client.query(ids=[1])
        assert caught.value.code == "service-answer"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("500 Internal Server Error", b"<html>oops</html>"),
        ("502 Bad Gateway", b""),
        ("404 Not Found", b'{"detail": "Not Found"}'),
        ("400 Bad Request", b'{"error": "text"}'),
        ("400 Bad Request", b'{"error": {"code": null, "message": 1}}'),
        ("400 Bad Request", b"[" * 100_000),
        ("302 Found", b"\xff\xfe"),
        ("204 No Content", b""),
    ],
)
def test_an_error_of_another_form_is_reported_with_its_status(status: str, body: bytes) -> None:
    answer = response(body, "text/html", status)
    with scripted(send(answer)) as service, Client(service.url) as client:
        with pytest.raises(ServiceAnswerError, match=f"HTTP {status[:3]}") as caught:
            client.kneighbors(Q)
        assert (caught.value.code, caught.value.status) == ("service-error", int(status[:3]))
        assert len(str(caught.value)) < 1_500


def test_a_server_that_is_not_ready_is_not_ready() -> None:
    body = json.dumps({"error": {"code": "not-ready", "message": "Loading.", "hint": "Wait."}})
    busy = response(body.encode(), "application/json", "503 Service Unavailable")
    with scripted(send(busy), send(busy)) as service, Client(service.url) as client:
        assert not client.ping()
        with pytest.raises(ServiceAnswerError) as caught:
            client.kneighbors(Q)
        error = caught.value
        assert (error.code, error.status, error.hint) == ("not-ready", 503, "Wait.")


def test_a_closed_client_opens_new_connections() -> None:
    with scripted(send(GOOD), send(GOOD)) as service:
        client = Client(service.url)
        client.kneighbors(Q)
        client.close()
        client.kneighbors(Q)
        client.close()
        client.close()
        assert len(service.connections) == 2


def test_something_that_speaks_no_http_is_unreachable() -> None:
    with scripted(hang_up(b"SSH-2.0-x\r\n"), hang_up(b"\x15\x03\x01")) as service:
        with Client(service.url) as client, pytest.raises(ServiceError) as caught:
            client.kneighbors(Q)
        assert caught.value.code == "service-unreachable"
