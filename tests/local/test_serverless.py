"""Serverless endpoints: no container without calls, and no more calls at once than agreed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.local_hosting import HostingPlane
from support.server_process import wait_for


@pytest.fixture(scope="module")
def shared(hosting: HostingPlane) -> str:
    """An endpoint that takes two calls at once."""
    config = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    return hosting.endpoint({"ModelName": hosting.model(), "ServerlessConfig": config})


def test_it_describes_its_configuration_and_no_instances(
    hosting: HostingPlane, shared: str
) -> None:
    variant = hosting.describe(shared)["ProductionVariants"][0]
    expected = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    assert expected == variant["CurrentServerlessConfig"]
    assert "CurrentInstanceCount" not in variant


def test_its_container_ends_when_idle_and_a_call_starts_another(
    hosting: HostingPlane, shared: str
) -> None:
    before = hosting.ask(shared, "version")["pid"]
    wait_for(lambda: not Path(f"/proc/{before}").exists(), "the container to end")
    assert "InService" == hosting.describe(shared)["EndpointStatus"]
    assert before != hosting.ask(shared, "version")["pid"]


def test_more_calls_at_once_than_agreed_are_throttled(hosting: HostingPlane, shared: str) -> None:
    hosting.ask(shared, "version")

    def call(number: int) -> str:
        try:
            hosting.invoke(shared, {"do": "sleep", "seconds": 0.6})
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "answered"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(call, range(4)))
    assert ["ThrottlingException"] * 2 + ["answered"] * 2 == outcomes
    assert "pid" in hosting.ask(shared, "version")


def test_its_payloads_are_of_four_mebibytes_at_most(hosting: HostingPlane, shared: str) -> None:
    limit = 4 << 20
    assert limit == len(hosting.invoke(shared, bytes(limit))["Body"].read())
    with pytest.raises(ClientError, match=f"less than or equal to {limit}"):
        hosting.invoke(shared, bytes(limit + 1))
    with pytest.raises(ClientError, match="could not load the entire response body"):
        hosting.invoke(shared, {"do": "big", "size": limit + 1})


def test_it_does_not_stream(hosting: HostingPlane, shared: str) -> None:
    with pytest.raises(ClientError, match="serverless and does not support streaming"):
        hosting.runtime.invoke_endpoint_with_response_stream(EndpointName=shared, Body=b"x")


def test_its_bound_on_calls_can_be_changed(hosting: HostingPlane) -> None:
    config = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    endpoint = hosting.endpoint({"ModelName": hosting.model(), "ServerlessConfig": config})
    hosting.api.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 3}}
        ],
    )
    variant = hosting.wait(endpoint)["ProductionVariants"][0]
    assert 3 == variant["CurrentServerlessConfig"]["MaxConcurrency"]


def test_a_model_that_cannot_be_served_fails_its_creation(hosting: HostingPlane) -> None:
    config = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    model = hosting.model(Environment={"EXIT": "1"})
    endpoint = hosting.endpoint({"ModelName": model, "ServerlessConfig": config}, wait=False)
    assert "did not pass the ping health check" in hosting.wait(endpoint, "Failed")["FailureReason"]
