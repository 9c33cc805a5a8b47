"""What each path answers, in every format, and what is refused."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from kneighbors.errors import KNeighborsError
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Reply
from kneighbors.server.statuses import status_of
from support.server_process import ServerProcess, wait_for
from support.server_raw import connect, exchange, receive_all, split

NPY, JSON, CSV, LINES = (
    "application/x-npy",
    "application/json",
    "text/csv",
    "application/jsonlines",
)
Q = np.random.default_rng(5).standard_normal((3, 16)).astype(np.float32)


def invoked(
    model: Model, body: bytes, content_type: str, accept: str | None, attributes: str | None
) -> Reply | KNeighborsError:
    """Return what the model says without a server between."""
    try:
        return model.invoke(body, content_type, accept, attributes)
    except KNeighborsError as error:
        return error


def npy(array: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


BODIES = {
    "vector": (NPY, npy(Q[0])),
    "matrix": (NPY, npy(Q)),
    "array": (JSON, json.dumps(Q.tolist()).encode()),
    "instances": (JSON, json.dumps({"instances": Q.tolist(), "k": 3}).encode()),
    "ids": (JSON, b'{"ids": ["w001", "w002"], "exclude_self": true, "include_items": true}'),
    "csv": (CSV, b"\n".join(b",".join(b"%f" % x for x in row) for row in Q.tolist())),
    "lines": (LINES, b'{"features": %s}\n{"id": "w007"}' % json.dumps(Q[0].tolist()).encode()),
}


@pytest.mark.parametrize("accept", [None, "*/*", NPY, JSON, CSV, LINES, "text/html", "junk"])
@pytest.mark.parametrize("attributes", [None, "k=5;trace-id=7", "k=0", "radius=0.5"])
@pytest.mark.parametrize("name", BODIES)
def test_an_answer_over_http_is_the_models(
    server: ServerProcess, model: Model, name: str, accept: str | None, attributes: str | None
) -> None:
    content_type, body = BODIES[name]
    headers = {"Content-Type": content_type}
    if accept is not None:
        headers["Accept"] = accept
    if attributes is not None:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
    status, answered, got = server.request("POST", "/invocations", body, headers)
    expected = invoked(model, body, content_type, accept, attributes)
    if isinstance(expected, KNeighborsError):
        assert status_of(expected) == status
        facts = json.loads(got)["error"]
        assert (expected.code, expected.where) == (facts["code"], facts["where"])
        assert facts["message"].startswith(expected.message)
        assert "application/json" == answered["content-type"]
    else:
        assert (200, expected.content_type) == (status, answered["content-type"])
        assert expected.body == got
    assert str(len(got)) == answered["content-length"]


def test_a_vector_gives_distances_over_indices(server: ServerProcess) -> None:
    _, _, got = server.request("POST", "/invocations", npy(Q[0]), {"Content-Type": NPY})
    answer = np.load(io.BytesIO(got))
    assert ((2, 10), np.float64) == (answer.shape, answer.dtype)


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": "image/png"}, b"x", 415, "content-type-unsupported"),
        ({"Content-Type": "text/csv; charset=utf-7"}, b"1", 415, "content-type-charset"),
        ({"Content-Type": JSON, "Accept": "image/png"}, b"[1]", 406, "accept-unsupported"),
        ({"Content-Type": JSON}, b"[1,", 400, "body-json"),
        ({"Content-Type": JSON}, b"", 400, "body-empty"),
        ({"Content-Type": JSON}, b"[1]", 400, "array-width"),
        ({"Content-Type": JSON}, b"[" + b"0," * 15 + b"0]", 400, "array-zero-vector"),
        ({"Content-Type": NPY}, b"\x93NUMPY\x01\x00", 400, "body-npy"),
        ({"Content-Type": JSON}, b'{"ids": ["w999"]}', 400, "id-unknown"),
        ({"Content-Type": LINES}, b"[1]\n" * 10_001, 413, "rows-too-many"),
    ],
)
def test_a_clients_mistake_has_its_status_and_its_code(
    server: ServerProcess, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    before = server.metric(f'kneighbors_errors_total{{code="{code}"}}')
    got, answered, answer = server.request("POST", "/invocations", body, headers)
    assert (status, code) == (got, json.loads(answer)["error"]["code"])
    assert answered["x-request-id"]
    assert before + 1 == server.metric(f'kneighbors_errors_total{{code="{code}"}}')


@pytest.mark.parametrize("name", ["Content-Type", "X-Amzn-SageMaker-Custom-Attributes"])
def test_a_header_with_one_value_is_refused_twice(server: ServerProcess, name: str) -> None:
    twice = f"{name}: application/json\r\n".encode() * 2
    data = b"POST /invocations HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n"
    (response,) = exchange(server.port, data + twice + b"\r\n1")
    assert (400, "header-doubled") == (response.status, response.error["code"])


def test_accept_may_come_in_several_headers(server: ServerProcess) -> None:
    data = (
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept: image/png\r\n"
        b"Content-Type: text/csv\r\nAccept: text/csv\r\nContent-Length: 31\r\n\r\n"
        + b",".join([b"1"] * 16)
    )
    (response,) = exchange(server.port, data)
    assert (200, "text/csv") == (response.status, response.headers["content-type"][:8])


# Methods and paths


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/ping", {"GET", "HEAD", "POST"}),
        ("/invocations", {"POST"}),
        ("/execution-parameters", {"GET", "HEAD"}),
        ("/metrics", {"GET", "HEAD"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/openapi.json", {"GET", "HEAD"}),
    ],
)
@pytest.mark.parametrize(
    "method",
    [
        *("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"),
        *("PROPFIND", "M-SEARCH", "get", "FOO", "X" * 100),
    ],
)
def test_a_wrong_method_gets_405_and_the_right_ones(
    server: ServerProcess, path: str, methods: set[str], method: str
) -> None:
    request = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    with connect(server.port) as s:
        s.sendall(request)
        response, rest = split(receive_all(s), head_only=method == "HEAD")
    if method in methods:
        assert response.status in (200, 400)  # an empty body is no query
    else:
        assert 405 == response.status
        assert methods == set(response.headers["allow"].split(", "))
        if method != "HEAD":
            assert "method-not-allowed" == response.error["code"]
    if method == "HEAD":
        assert b"" == rest


@pytest.mark.parametrize(
    "path",
    [
        *("/", "//ping", "/ping/", "/%70ing", "/ping%20", "/ping;x=1", "/PING", "/./ping"),
        *("/..;/ping", "/../ping", "/x/../ping", "/ping/..", "/ping%00", "/ping%2f", "/%2e%2e/x"),
        *("/invocations/", "/metrics/..", "/docs", "/favicon.ico", "/models", "/" + "a" * 4000),
    ],
)
def test_a_path_is_taken_as_it_is_written(server: ServerProcess, path: str) -> None:
    status, _, body = server.request("GET", path)
    assert (404, "path-unknown") == (status, json.loads(body)["error"]["code"])
    assert path not in body.decode() or path == "/"


@pytest.mark.parametrize("path", ["/ping?", "/ping?x=1", "/ping?a%00=%zz", "/ping??//"])
def test_a_query_string_changes_nothing(server: ServerProcess, path: str) -> None:
    assert 200 == server.request("GET", path)[0]


# Sizes


@pytest.mark.parametrize("excess", [0, 1])
@pytest.mark.parametrize("chunk", [None, 1000, 65_536])
def test_a_body_one_byte_over_the_limit_gets_413(
    server: ServerProcess, chunk: int | None, excess: int
) -> None:
    body = b"[" + b" " * (200_000 - 2 + excess) + b"]"
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    head += b"Connection: close\r\n"
    if chunk is None:
        data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        pieces = [body[start : start + chunk] for start in range(0, len(body), chunk)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        data = head + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"
    (response,) = exchange(server.port, data)
    expected = (413, "body-too-large") if excess else (400, "body-no-queries")
    assert expected == (response.status, response.error["code"])


def test_a_body_that_says_it_is_too_large_is_not_read(server: ServerProcess) -> None:
    with connect(server.port) as s:
        s.sendall(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        response, _ = split(receive_all(s))
    assert (413, "close") == (response.status, response.headers["connection"])


@pytest.mark.parametrize("path", ["/ping", "/metrics", "/nothing"])
def test_the_limit_holds_for_every_path(server: ServerProcess, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 200001\r\n\r\n".encode()
    (response,) = exchange(server.port, head)
    assert 413 == response.status


def test_a_body_of_tiny_chunks_is_refused(server: ServerProcess) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    (response,) = exchange(server.port, head + b"1\r\n1\r\n" * 6000)
    assert (400, "chunk-malformed") == (response.status, response.error["code"])


# What else there is


def test_ping_is_empty_for_get_and_post(server: ServerProcess) -> None:
    for method in ("GET", "POST"):
        status, headers, body = server.request(method, "/ping")
        assert (200, b"", "0") == (status, body, headers["content-length"])


def test_no_answer_tells_what_software_this_is(server: ServerProcess) -> None:
    for path in ("/ping", "/nothing", "/metrics", "/openapi.json"):
        headers = server.request("GET", path)[1]
        assert {"server", "x-powered-by", "via"} & set(headers) == set()
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", headers["date"])


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [("job-7.a_B", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("é", False)],
)
def test_a_plain_request_id_comes_back(server: ServerProcess, given: str, is_kept: bool) -> None:
    got = server.request("GET", "/ping", headers={"X-Request-Id": given})[1]["x-request-id"]
    assert is_kept == (got == given)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", got)


def test_execution_parameters_say_how_batch_transform_should_call(server: ServerProcess) -> None:
    status, headers, body = server.request("GET", "/execution-parameters")
    assert (200, "application/json") == (status, headers["content-type"])
    assert {
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 1,
    } == json.loads(body)


def test_metrics_are_prometheus_text_and_sum_over_the_workers(server: ServerProcess) -> None:
    name = 'kneighbors_requests_total{route="ping",status="200"}'
    before = server.metric(name)
    # Connections are shared out, so both workers get some.
    held = [connect(server.port) for _ in range(8)]
    for s in held:
        s.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        receive_all(s)
        s.close()
    assert before + 8 == server.metric(name)
    status, headers, body = server.request("GET", "/metrics")
    assert (200, "text/plain; version=0.0.4; charset=utf-8") == (status, headers["content-type"])
    families = {f.name: f for f in text_string_to_metric_families(body.decode())}
    assert 2 == families["kneighbors_workers_ready"].samples[0].value
    assert 1 == families["kneighbors_ready"].samples[0].value
    info = families["kneighbors_info"].samples[0].labels
    assert ("cosine", "400", "16") == (info["metric"], info["n_samples"], info["n_features"])
    assert re.fullmatch(r"[0-9a-f]{12}", info["generation"])


def test_no_client_can_make_the_metrics_grow(server: ServerProcess) -> None:
    def samples() -> int:
        return server.request("GET", "/metrics")[2].count(b"\n")

    server.request("GET", "/first", headers={"X-Request-Id": "first"})
    server.request("FOO", "/second")
    before = samples()
    for number in range(20):
        path = f"/{number}?{number}"
        server.request(f"M{number}", path, headers={"X-Request-Id": f"id{number}"})
        server.request("POST", "/invocations", b"[", {"Content-Type": f"a/b{number}"})
    assert samples() - before <= 4


def test_a_log_line_is_one_line_of_bounded_length(server: ServerProcess) -> None:
    server.request("GET", "/%0d%0aX:%20y/" + "b" * 3000, headers={"X-Request-Id": "marker-1"})

    def marked() -> list[str]:
        # The line may be written after the answer has arrived, and be seen half written.
        return [line for line in server.output().split("\n")[:-1] if "marker-1" in line]

    lines = wait_for(marked, "the request's line in the log")
    assert 1 == len(lines)
    assert "%0d%0aX" in lines[0]
    assert len(lines[0]) < 600
    assert " status=404 " in lines[0]
