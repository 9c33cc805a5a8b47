"""Endpoints are updated, scaled and restarted without a gap."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.local_hosting import HostingPlane
from support.server_process import wait_for

ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


def update(hosting: HostingPlane, endpoint: str, *variants: dict[str, Any], **members: Any) -> str:
    """Begin an update and return the name of its configuration."""
    config = hosting.config(*variants)
    hosting.api.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **members)
    return config


def test_calls_are_answered_all_through_an_update(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint({"ModelName": hosting.model("old")})
    is_over, versions = threading.Event(), []

    def call() -> None:
        while not is_over.is_set():
            versions.append(hosting.ask(endpoint, "version")["version"])

    with ThreadPoolExecutor(2) as pool:
        callers = [pool.submit(call) for _ in range(2)]
        wait_for(lambda: versions, "the first answer")
        config = update(hosting, endpoint, {"ModelName": hosting.model("new")})
        found = hosting.wait(endpoint)
        count = len(versions)
        wait_for(lambda: len(versions) > count + 4, "answers after the update")
        is_over.set()
        for caller in callers:
            caller.result()
    assert config == found["EndpointConfigName"]
    assert {"old", "new"} == set(versions)
    assert ["new"] * 3 == versions[-3:]


def test_a_call_under_way_is_answered_by_the_fleet_that_began_it(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint({"ModelName": hosting.model("old")})
    update(hosting, endpoint, {"ModelName": hosting.model("new")})
    answers: list[dict[str, Any]] = []

    def call() -> None:
        answers.append(hosting.ask(endpoint, "sleep", seconds=0.5))

    # Calls that last, begun all the time, so that some are under way when the fleets change.
    callers = []
    while hosting.describe(endpoint)["EndpointStatus"] == "Updating":
        callers.append(threading.Thread(target=call))
        callers[-1].start()
        callers[-1].join(0.1)
    for caller in callers:
        caller.join()
    assert len(callers) == len(answers)
    assert "old" in {answer["version"] for answer in answers}


def test_an_update_that_never_is_well_is_rolled_back(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint({"ModelName": hosting.model("old")})
    before = hosting.describe(endpoint)
    sick = hosting.model("new", Environment={"PING": "never"})
    update(hosting, endpoint, {"ModelName": sick})
    assert "Updating" == hosting.describe(endpoint)["EndpointStatus"]
    assert "old" == hosting.ask(endpoint, "version")["version"]
    found = hosting.wait(endpoint)
    assert before["EndpointConfigName"] == found["EndpointConfigName"]
    assert "did not pass the ping health check" in found["FailureReason"]
    assert "old" == hosting.ask(endpoint, "version")["version"]
    update(hosting, endpoint, {"ModelName": hosting.model("newer")})
    assert "FailureReason" not in hosting.wait(endpoint)


def test_an_endpoint_that_is_being_updated_cannot_be_deleted(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint()
    sick = hosting.model(Environment={"PING": "never"})
    update(hosting, endpoint, {"ModelName": sick})
    with pytest.raises(ClientError) as caught:
        hosting.api.delete_endpoint(EndpointName=endpoint)
    expected = f'Cannot update in-progress endpoint "{ARN}endpoint/{endpoint}".'
    assert expected == caught.value.response["Error"]["Message"]


def test_weights_change_and_counts_follow(hosting: HostingPlane) -> None:
    model = hosting.model()
    endpoint = hosting.endpoint(
        {"VariantName": "a", "ModelName": model}, {"VariantName": "b", "ModelName": model}
    )
    hosting.api.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": "a", "DesiredWeight": 0.0},
            {"VariantName": "b", "DesiredInstanceCount": 2},
        ],
    )
    variants = hosting.wait(endpoint)["ProductionVariants"]
    assert [("a", 0.0, 1), ("b", 1.0, 2)] == [
        (one["VariantName"], one["CurrentWeight"], one["CurrentInstanceCount"]) for one in variants
    ]
    answers = [hosting.invoke(endpoint, {"do": "version"}) for _ in range(4)]
    assert {"b"} == {answer["InvokedProductionVariant"] for answer in answers}
    assert 2 == len({json.loads(answer["Body"].read())["pid"] for answer in answers})

    update(
        hosting,
        endpoint,
        {"VariantName": "b", "ModelName": model},
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    variant = hosting.wait(endpoint)["ProductionVariants"][0]
    assert ("b", 1.0, 2) == (
        variant["VariantName"],
        variant["CurrentWeight"],
        variant["CurrentInstanceCount"],
    )
    hosting.api.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "b", "DesiredInstanceCount": 1}],
    )
    assert 1 == hosting.wait(endpoint)["ProductionVariants"][0]["CurrentInstanceCount"]


def test_a_variant_that_is_not_there_cannot_be_scaled(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint()
    with pytest.raises(ClientError, match="nobody"):
        hosting.api.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "nobody", "DesiredWeight": 1.0}],
        )
    assert "InService" == hosting.describe(endpoint)["EndpointStatus"]


def test_traffic_that_shifts_in_steps_is_refused_by_name(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint()
    routing = {"Type": "CANARY", "WaitIntervalInSeconds": 1}
    routing |= {"CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}}
    with pytest.raises(ClientError, match="does not implement the traffic routing CANARY"):
        hosting.api.update_endpoint(
            EndpointName=endpoint,
            EndpointConfigName=hosting.describe(endpoint)["EndpointConfigName"],
            DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
        )


def test_endpoints_come_back_when_the_plane_was_killed(tmp_path: Path) -> None:
    with HostingPlane(tmp_path / "root", KNEIGHBORS_LOCAL_STARTUP_TIMEOUT_S="20") as hosting:
        steady = hosting.endpoint({"ModelName": hosting.model("steady")})
        updating = hosting.endpoint({"ModelName": hosting.model("old")})
        never = hosting.model(Environment={"PING": "never"})
        update(hosting, updating, {"ModelName": never})
        creating = hosting.endpoint({"ModelName": hosting.model("fresh")}, wait=False)
        before = hosting.ask(steady, "version")["pid"]
        hosting.process.restart()
        assert (
            "Creating" == hosting.describe(steady)["EndpointStatus"]
            or before != (hosting.ask(steady, "version")["pid"])
        )
        for endpoint, version in ((steady, "steady"), (updating, "old"), (creating, "fresh")):
            hosting.wait(endpoint)
            assert version == hosting.ask(endpoint, "version")["version"]
        assert "The update was interrupted" in hosting.describe(updating)["FailureReason"]
        assert "FailureReason" not in hosting.describe(steady)
        assert not Path(f"/proc/{before}").exists()


@pytest.mark.slow
def test_an_endpoint_without_its_image_fails_and_comes_back_with_it(tmp_path: Path) -> None:
    with HostingPlane(tmp_path / "root") as hosting:
        endpoint = hosting.endpoint()
        options, hosting.process.options = hosting.process.options, ()
        hosting.process.restart()
        assert "--image" in hosting.wait(endpoint, "Failed")["FailureReason"]
        hosting.process.options = options
        hosting.process.restart()
        hosting.wait(endpoint)
        assert "1" == hosting.ask(endpoint, "version")["version"]
