"""InvokeEndpointAsync: input in S3 or in the call, results and failures in S3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.local_hosting import BUCKET, HostingPlane
from support.server_process import wait_for


def configuration(**client: int) -> dict[str, Any]:
    places = {name: f"s3://{BUCKET}/{folder}" for name, folder in _FOLDERS.items()}
    return {"OutputConfig": places, **({"ClientConfig": client} if client else {})}


_FOLDERS = {"S3OutputPath": "results", "S3FailurePath": "failures"}


@pytest.fixture(scope="module")
def shared(hosting: HostingPlane) -> str:
    """An asynchronous endpoint that tests do not change."""
    return hosting.endpoint(AsyncInferenceConfig=configuration())


def call(hosting: HostingPlane, endpoint: str, request: Any, **members: Any) -> dict[str, Any]:
    """Call with an input in S3."""
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    found: dict[str, Any] = hosting.runtime.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=hosting.upload(data), **members
    )
    return found


def arrived(hosting: HostingPlane, url: str) -> bytes:
    """Return what has come to an address, as soon as something has."""
    wait_for(lambda: hosting.has(url), url)
    return hosting.read(url)


def test_a_result_comes_to_s3(hosting: HostingPlane, shared: str) -> None:
    answer = call(hosting, shared, b"a question", ContentType="text/plain")
    inference = answer["InferenceId"]
    assert (202, f"s3://{BUCKET}/results/{inference}.out") == (
        answer["ResponseMetadata"]["HTTPStatusCode"],
        answer["OutputLocation"],
    )
    assert f"s3://{BUCKET}/failures/{inference}-error.out" == answer["FailureLocation"]
    assert b"a question" == arrived(hosting, answer["OutputLocation"])
    found = hosting.s3.head_object(Bucket=BUCKET, Key=f"results/{inference}.out")
    assert "application/octet-stream" == found["ContentType"]


def test_an_input_may_be_in_the_call(hosting: HostingPlane, shared: str) -> None:
    answer = hosting.runtime.invoke_endpoint_async(EndpointName=shared, Body=b"\0inline")
    assert b"\0inline" == arrived(hosting, answer["OutputLocation"])
    with pytest.raises(ClientError, match="less than or equal to 128000"):
        hosting.runtime.invoke_endpoint_async(EndpointName=shared, Body=bytes(128_001))


def test_a_call_has_one_input(hosting: HostingPlane, shared: str) -> None:
    with pytest.raises(ClientError, match="one of InputLocation and Body"):
        hosting.runtime.invoke_endpoint_async(EndpointName=shared)
    with pytest.raises(ClientError, match="one of InputLocation and Body"):
        call(hosting, shared, b"x", Body=b"y")


def test_headers_go_along_and_names_can_be_chosen(hosting: HostingPlane, shared: str) -> None:
    answer = call(
        hosting,
        shared,
        {"do": "headers"},
        InferenceId="mine",
        CustomAttributes="trace=1",
        Accept="text/csv",
        S3OutputPathExtension="today/late",
        Filename="answer.json",
    )
    assert ("mine", f"s3://{BUCKET}/results/today/late/answer.json") == (
        answer["InferenceId"],
        answer["OutputLocation"],
    )
    seen = json.loads(arrived(hosting, answer["OutputLocation"]))
    assert ("mine", "trace=1", "text/csv") == (
        seen["x-amzn-sagemaker-inference-id"],
        seen["x-amzn-sagemaker-custom-attributes"],
        seen["accept"],
    )


def test_an_answer_may_be_larger_and_later_than_a_direct_one(
    hosting: HostingPlane, shared: str
) -> None:
    late = call(hosting, shared, {"do": "sleep", "seconds": 2.5})
    large = call(hosting, shared, {"do": "big", "size": 7_000_000})
    assert 7_000_000 == len(arrived(hosting, large["OutputLocation"]))
    assert b"pid" in arrived(hosting, late["OutputLocation"])


@pytest.mark.parametrize(
    ("request_", "members", "expected"),
    [
        ({"do": "fail", "status": 400, "message": "corked"}, {}, "Received client error (400)"),
        ({"do": "sleep", "seconds": 5}, {"InvocationTimeoutSeconds": 1}, "timed out"),
    ],
)
def test_a_failure_comes_to_its_own_place(
    hosting: HostingPlane,
    shared: str,
    request_: dict[str, Any],
    members: dict[str, Any],
    expected: str,
) -> None:
    answer = call(hosting, shared, request_, **members)
    assert expected in arrived(hosting, answer["FailureLocation"]).decode()
    assert not hosting.has(answer["OutputLocation"])


def test_an_input_that_is_not_there_is_a_failure(hosting: HostingPlane, shared: str) -> None:
    url = f"s3://{BUCKET}/no/such/input"
    answer = hosting.runtime.invoke_endpoint_async(EndpointName=shared, InputLocation=url)
    assert f"There is nothing at {url}." == arrived(hosting, answer["FailureLocation"]).decode()


def test_each_kind_of_endpoint_is_called_in_its_own_way(hosting: HostingPlane, shared: str) -> None:
    with pytest.raises(ClientError, match="asynchronous endpoint") as caught:
        hosting.invoke(shared, b"x")
    assert "ValidationError" == caught.value.response["Error"]["Code"]
    with pytest.raises(ClientError, match="has no AsyncInferenceConfig"):
        call(hosting, hosting.endpoint(), b"x")


@pytest.mark.slow
def test_calls_that_were_taken_on_are_made_after_a_crash(tmp_path: Path) -> None:
    with HostingPlane(tmp_path / "root") as hosting:
        only_one = configuration(MaxConcurrentInvocationsPerInstance=1)
        endpoint = hosting.endpoint(AsyncInferenceConfig=only_one)
        calls = [call(hosting, endpoint, {"do": "sleep", "seconds": 2})]
        calls += [call(hosting, endpoint, str(number).encode()) for number in range(3)]
        hosting.process.restart()
        for number, one in enumerate(calls[1:]):
            assert str(number).encode() == arrived(hosting, one["OutputLocation"])
        assert b"pid" in arrived(hosting, calls[0]["OutputLocation"])
