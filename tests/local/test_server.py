"""The plane as boto3 sees it, and what it says to requests that are none."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.local_plane import PlaneProcess
from support.server_raw import exchange

SIGNED = "AWS4-HMAC-SHA256 Credential=ASIA/20260101/us-east-1/{}/aws4_request, Signature=0"


def ask(
    plane: PlaneProcess,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers in lower case and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", plane.port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return response.status, fields, response.read()
    finally:
        connection.close()


def operate(plane: PlaneProcess, name: str, body: bytes = b"{}") -> tuple[int, dict[str, str], Any]:
    """Return the answer to an operation of SageMaker, its JSON read."""
    headers = {"X-Amz-Target": f"SageMaker.{name}", "Content-Type": "application/x-amz-json-1.1"}
    status, fields, data = ask(plane, "POST", "/", body, headers)
    return status, fields, json.loads(data)


def test_an_object_comes_back_as_it_was_put(plane: PlaneProcess) -> None:
    s3 = plane.client("s3")
    s3.create_bucket(Bucket="cellar")
    s3.put_object(Bucket="cellar", Key="a b/ü+%.txt", Body=b"oak", Metadata={"year": "2014"})
    found = s3.get_object(Bucket="cellar", Key="a b/ü+%.txt")
    assert (b"oak", {"year": "2014"}) == (found["Body"].read(), found["Metadata"])


def test_a_program_has_a_role_that_it_has_assumed(plane: PlaneProcess) -> None:
    identity = plane.client("sts").get_caller_identity()
    assert (
        "arn:aws:sts::123456789012:assumed-role/KNeighborsLocal/kneighbors-local"
        == (identity["Arn"])
    )
    role = plane.client("iam").get_role(RoleName="KNeighborsLocal")["Role"]
    assert plane.role == role["Arn"]


def test_everything_is_allowed(plane: PlaneProcess) -> None:
    found = plane.client("iam").simulate_principal_policy(
        PolicySourceArn=plane.role,
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::a&b/*"],
    )
    told = [
        (one["EvalActionName"], one["EvalResourceName"], one["EvalDecision"])
        for one in found["EvaluationResults"]
    ]
    assert [
        ("s3:GetObject", "arn:aws:s3:::a&b/*", "allowed"),
        ("s3:PutObject", "arn:aws:s3:::a&b/*", "allowed"),
    ] == told
    assert found["IsTruncated"] is False


def test_a_principal_that_is_none_is_refused(plane: PlaneProcess) -> None:
    with pytest.raises(ClientError, match="InvalidInput") as refused:
        plane.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:s3:::a-bucket-of-mine", ActionNames=["s3:GetObject"]
        )
    assert 400 == refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CreateDomain", "kneighbors local does not implement CreateDomain"),
        ("MakeWine", "Amazon SageMaker has no operation MakeWine"),
    ],
)
def test_an_unknown_operation_is_named(plane: PlaneProcess, name: str, words: str) -> None:
    status, fields, answer = operate(plane, name)
    assert (400, "UnknownOperationException") == (status, answer["__type"])
    assert words in answer["message"]
    assert "UnknownOperationException" == fields["x-amzn-errortype"]
    assert re.fullmatch(r"[0-9a-f-]{36}", fields["x-amzn-requestid"])


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"\xff", b'"a"', b"[" * 100_000, b'{"a": NaN' + b"}" * 2]
)
def test_a_request_that_is_no_json_object_is_refused(plane: PlaneProcess, body: bytes) -> None:
    status, _, answer = operate(plane, "ListModels", body)
    assert (400, "SerializationException") == (status, answer["__type"])


def test_a_request_that_is_too_long_is_refused(plane: PlaneProcess) -> None:
    status, _, answer = operate(plane, "ListModels", b" " * (17 << 20))
    assert (413, "RequestEntityTooLarge") == (status, answer["__type"])


def test_another_path_of_sagemaker_is_named(plane: PlaneProcess) -> None:
    headers = {"Authorization": SIGNED.format("sagemaker")}
    status, _, data = ask(plane, "GET", "/FeatureGroup/wines", headers=headers)
    assert 404 == status
    assert "GET /FeatureGroup/wines" in json.loads(data)["message"]


def test_a_path_like_the_runtimes_that_nobody_signed_is_named(plane: PlaneProcess) -> None:
    status, _, data = ask(plane, "POST", "/endpoints/wines/invocation", b"1")
    assert 404 == status
    assert "POST /endpoints/wines/invocation" in json.loads(data)["message"]


def test_what_moto_does_not_have_is_named(plane: PlaneProcess) -> None:
    with pytest.raises(ClientError, match="does not have it") as refused:
        plane.client("iam").generate_service_last_accessed_details(Arn=plane.role)
    assert 501 == refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_errors_of_the_runtime_have_its_form(plane: PlaneProcess) -> None:
    with pytest.raises(ClientError, match="Endpoint nothing of account") as refused:
        plane.client("sagemaker-runtime").invoke_endpoint(EndpointName="nothing", Body=b"1")
    assert "ValidationError" == refused.value.response["Error"]["Code"]


def test_a_bucket_may_be_called_like_a_path_of_the_runtime(plane: PlaneProcess) -> None:
    s3 = plane.client("s3")
    s3.create_bucket(Bucket="endpoints")
    s3.put_object(Bucket="endpoints", Key="wines/invocations", Body=b"oak")
    found = s3.get_object(Bucket="endpoints", Key="wines/invocations")
    assert b"oak" == found["Body"].read()


def test_a_signed_address_can_be_read_by_anyone(plane: PlaneProcess) -> None:
    s3 = plane.client("s3")
    s3.create_bucket(Bucket="signed")
    s3.put_object(Bucket="signed", Key="k", Body=b"oak" * 1_000_000)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "k"})
    status, _, data = ask(plane, "GET", url.removeprefix(plane.url))
    assert (200, b"oak" * 1_000_000) == (status, data)


def test_a_connection_stays_open_for_the_next_request(plane: PlaneProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", plane.port, timeout=30)
    for number in range(3):
        # The second of these is refused without a look at its body, which must not be taken for
        # the beginning of the next request.
        body = b"GET /attic HTTP/1.1\r\n\r\n" * 100
        path = ("/_kneighbors/health", "/_kneighbors/nothing")[number % 2]
        connection.request("POST", path, body)
        response = connection.getresponse()
        assert (200, 404)[number % 2] == response.status
        response.read()
        if number == 0:
            local = connection.sock.getsockname()
        assert local == connection.sock.getsockname()
    connection.close()


def test_a_body_in_chunks_is_understood(plane: PlaneProcess) -> None:
    [answer] = exchange(
        plane.port,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: SageMaker.MakeWine\r\n"
        b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    )
    assert b"no operation MakeWine" in answer.body


@pytest.mark.parametrize("length", [b"-5", b"abc", b"1e3"])
def test_a_length_that_is_no_number_is_refused(plane: PlaneProcess, length: bytes) -> None:
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\n"
    assert [400] == [answer.status for answer in exchange(plane.port, request)]


def test_a_client_that_goes_away_harms_nobody(plane: PlaneProcess) -> None:
    for begun in (
        b"",
        b"PUT /cellar/k HT",
        b"PUT /cellar/k HTTP/1.1\r\nContent-Length: 9\r\n\r\nx",
    ):
        with socket.create_connection(("127.0.0.1", plane.port)) as connection:
            connection.sendall(begun)
    assert 200 == ask(plane, "GET", "/_kneighbors/health")[0]


def test_requests_are_answered_side_by_side(plane: PlaneProcess) -> None:
    with socket.create_connection(("127.0.0.1", plane.port)) as slow:
        slow.sendall(b"PUT /cellar/k HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")
        answers: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: answers.append(ask(plane, "GET", "/_kneighbors/health")[0])
            )
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert [200] * 16 == answers


def test_a_body_is_asked_for_before_it_is_sent(plane: PlaneProcess) -> None:
    with socket.create_connection(("127.0.0.1", plane.port), timeout=10) as connection:
        begun = time.monotonic()
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
            b"X-Amz-Target: SageMaker.MakeWine\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
        # A client that hears nothing sends its body after a second of waiting.
        assert time.monotonic() - begun < 0.9


def test_the_status_tells_what_is_held_and_what_a_restart_loses(plane: PlaneProcess) -> None:
    plane.client("s3").create_bucket(Bucket="told-by-status")
    plane.client("s3").put_object(Bucket="told-by-status", Key="k", Body=b"12345")
    status = json.loads(ask(plane, "GET", "/_kneighbors/status")[2])
    assert {"name": "told-by-status", "objects": 1, "bytes": 5} in status["buckets"]
    assert str(plane.root) == status["root"]
    assert any("ACLs" in line for line in status["in_memory_only"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "rebound.evil.example:80"},
        {"Origin": "https://127.0.0.1.evil.example"},
    ],
)
def test_a_page_in_a_browser_is_refused(plane: PlaneProcess, headers: dict[str, str]) -> None:
    own = {"X-Amz-Target": "SageMaker.ListModels"}
    for method, more in (("POST", own), ("OPTIONS", {}), ("PUT", {})):
        status, fields, _ = ask(plane, method, "/", b"{}", headers | more)
        assert 403 == status
        assert "access-control-allow-origin" not in fields
    assert 200 == operate(plane, "ListModels")[0]


def test_a_page_of_this_machine_is_answered(plane: PlaneProcess) -> None:
    headers = {"Origin": "http://localhost:8888", "Host": f"localhost:{plane.port}"}
    assert 200 == ask(plane, "GET", "/_kneighbors/health", headers=headers)[0]
