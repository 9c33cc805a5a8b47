"""InvokeEndpoint: what goes to a container, what comes back, and what is refused in whose words."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.local_hosting import IMAGE, HostingPlane, archive

GROUP = "/aws/sagemaker/Endpoints/"


@pytest.fixture(scope="module")
def shared(hosting: HostingPlane) -> str:
    """An endpoint that tests do not change."""
    return hosting.endpoint()


def refusal(hosting: HostingPlane, endpoint: str, request: Any, **members: Any) -> dict[str, Any]:
    """Return what boto3 parsed of a call's error."""
    with pytest.raises(ClientError) as caught:
        hosting.invoke(endpoint, request, **members)
    found: dict[str, Any] = caught.value.response
    return found


def test_a_body_goes_there_and_back_as_it_is(hosting: HostingPlane, shared: str) -> None:
    body = bytes(range(256)) * 10
    answer = hosting.invoke(shared, body)
    assert body == answer["Body"].read()
    assert ("application/octet-stream", "AllTraffic") == (
        answer["ContentType"],
        answer["InvokedProductionVariant"],
    )


def test_only_the_headers_of_the_call_reach_the_container(
    hosting: HostingPlane, shared: str
) -> None:
    answer = hosting.invoke(
        shared,
        {"do": "headers"},
        ContentType="application/json",
        Accept="text/csv",
        CustomAttributes="trace=7",
        InferenceId="one",
    )
    assert "seen=1" == answer["CustomAttributes"]
    assert "x-secret" not in answer["ResponseMetadata"]["HTTPHeaders"]
    seen = json.loads(answer["Body"].read())
    expected = {
        "content-type": "application/json",
        "accept": "text/csv",
        "x-amzn-sagemaker-custom-attributes": "trace=7",
        "x-amzn-sagemaker-inference-id": "one",
    }
    assert expected == {name: seen[name] for name in expected}
    assert not [name for name in seen if name.startswith(("authorization", "x-amz-", "amz-sdk"))]


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (415, "client"), (500, "server")])
def test_an_error_of_the_container_is_a_model_error(
    hosting: HostingPlane, shared: str, status: int, side: str
) -> None:
    found = refusal(hosting, shared, {"do": "fail", "status": status, "message": "it is corked"})
    console = "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
    expected = (
        f'Received {side} error ({status}) from primary with message "it is corked". See {console}'
        f"#logEventViewer:group={GROUP}{shared} in account 123456789012 for more information."
    )
    assert (424, "ModelError", expected) == (
        found["ResponseMetadata"]["HTTPStatusCode"],
        found["Error"]["Code"],
        found["Error"]["Message"],
    )
    assert (status, "it is corked") == (found["OriginalStatusCode"], found["OriginalMessage"])
    assert found["LogStreamArn"].endswith(f":log-group:{GROUP}{shared}")


def test_an_answer_that_takes_too_long_is_a_model_error(hosting: HostingPlane, shared: str) -> None:
    found = refusal(hosting, shared, {"do": "sleep", "seconds": 5})
    assert ("ModelError", 0) == (found["Error"]["Code"], found["OriginalStatusCode"])
    assert (
        "Your invocation timed out while waiting for a response from container primary"
        in (found["OriginalMessage"])
    )


def test_a_container_that_dies_over_a_call_is_a_model_error(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint()
    found = refusal(hosting, endpoint, {"do": "die"})
    assert "ModelError" == found["Error"]["Code"]
    assert "before it had answered" in found["OriginalMessage"]


def test_an_endpoint_that_is_not_there_is_named(hosting: HostingPlane) -> None:
    found = refusal(hosting, "nobody", b"x")
    expected = {
        "Code": "ValidationError",
        "Message": "Endpoint nobody of account 123456789012 not found.",
    }
    assert expected == found["Error"]


def test_the_largest_body_is_taken_and_a_larger_one_refused(
    hosting: HostingPlane, shared: str
) -> None:
    limit = 6_291_456
    assert limit == len(hosting.invoke(shared, bytes(limit))["Body"].read())
    found = refusal(hosting, shared, bytes(limit + 1))
    assert ("ValidationError", 400) == (
        found["Error"]["Code"],
        found["ResponseMetadata"]["HTTPStatusCode"],
    )
    assert f"Member must have length less than or equal to {limit}" in found["Error"]["Message"]


def test_an_answer_that_is_too_large_is_a_model_error(hosting: HostingPlane, shared: str) -> None:
    found = refusal(hosting, shared, {"do": "big", "size": 6_291_457})
    assert "ModelError" == found["Error"]["Code"]
    assert "could not load the entire response body" in found["Error"]["Message"]
    assert "pid" in hosting.ask(shared, "version")


def test_calls_are_spread_by_weight(hosting: HostingPlane) -> None:
    model = hosting.model()
    endpoint = hosting.endpoint(
        {"VariantName": "a", "ModelName": model, "InitialVariantWeight": 3.0},
        {"VariantName": "b", "ModelName": model, "InitialVariantWeight": 1.0},
    )
    answers = [hosting.invoke(endpoint, b"x") for _ in range(40)]
    names = [answer["InvokedProductionVariant"] for answer in answers]
    assert (30, 10) == (names.count("a"), names.count("b"))
    for name in ("a", "b"):
        answer = hosting.invoke(endpoint, b"x", TargetVariant=name)
        assert name == answer["InvokedProductionVariant"]
    found = refusal(hosting, endpoint, b"x", TargetVariant="c")
    assert "ValidationError" == found["Error"]["Code"]


def test_a_target_model_needs_an_endpoint_of_many_models(
    hosting: HostingPlane, shared: str
) -> None:
    found = refusal(hosting, shared, b"x", TargetModel="a.tar.gz")
    expected = (
        f"Endpoint {shared} is not a multi-model endpoint and does not support target model header."
    )
    assert ("ValidationError", expected) == (found["Error"]["Code"], found["Error"]["Message"])


def test_what_is_not_here_is_refused_by_name(hosting: HostingPlane, shared: str) -> None:
    found = refusal(hosting, shared, b"x", EnableExplanations="`true`")
    assert "does not implement EnableExplanations" in found["Error"]["Message"]


def test_containers_in_a_row_hand_on_what_they_answer(hosting: HostingPlane) -> None:
    endpoint = piped(hosting)
    assert b"through both" == hosting.invoke(endpoint, b"through both")["Body"].read()


def test_containers_that_are_called_directly_are_called_by_name(hosting: HostingPlane) -> None:
    endpoint = piped(hosting, InferenceExecutionConfig={"Mode": "Direct"})
    for name in ("first", "second"):
        answer = hosting.invoke(endpoint, {"do": "version"}, TargetContainerHostname=name)
        assert name == json.loads(answer["Body"].read())["version"]
    assert "ValidationError" == refusal(hosting, endpoint, b"x")["Error"]["Code"]


def test_many_calls_at_once_are_all_answered(hosting: HostingPlane, shared: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        bodies = [str(number).encode() for number in range(160)]
        answers = list(pool.map(lambda b: hosting.invoke(shared, b)["Body"].read(), bodies))
    assert bodies == answers


def piped(hosting: HostingPlane, **members: Any) -> str:
    """Return an endpoint of two containers, each with its own version."""
    model = hosting.new("model")
    containers = [
        {
            "Image": IMAGE,
            "ContainerHostname": name,
            "ModelDataUrl": hosting.upload(archive({"version.txt": name})),
        }
        for name in ("first", "second")
    ]
    role = hosting.process.role
    hosting.api.create_model(
        ModelName=model, ExecutionRoleArn=role, Containers=containers, **members
    )
    return hosting.endpoint({"ModelName": model})
