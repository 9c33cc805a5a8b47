"""Endpoints of many models: loaded when asked for, unloaded when there is no room."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.local_hosting import BUCKET, HostingPlane, archive


def endpoint_of(hosting: HostingPlane, *names: str, **container: Any) -> str:
    """Return an endpoint of models whose versions are their names."""
    prefix = hosting.new("models")
    for name in names:
        hosting.upload(archive({"version.txt": name}), f"{prefix}/{name}")
    url = f"s3://{BUCKET}/{prefix}/"
    model = hosting.model(Mode="MultiModel", ModelDataUrl=url, **container)
    return hosting.endpoint({"ModelName": model})


def version(hosting: HostingPlane, endpoint: str, target: str) -> str:
    answer = hosting.invoke(endpoint, {"do": "version"}, TargetModel=target)
    return str(json.loads(answer["Body"].read())["version"])


def refusal(hosting: HostingPlane, endpoint: str, **members: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        hosting.invoke(endpoint, {"do": "version"}, **members)
    found: dict[str, Any] = caught.value.response
    return found


def loads(hosting: HostingPlane, endpoint: str) -> int:
    """Return how often a container has said that it loaded a model."""
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    events = hosting.process.client("logs").filter_log_events(logGroupName=group)["events"]
    return sum(event["message"].startswith("loaded ") for event in events)


def test_a_model_is_loaded_once_by_the_first_call(hosting: HostingPlane) -> None:
    endpoint = endpoint_of(hosting, "a.tar.gz", "deep/b.tar.gz")
    for target in ("a.tar.gz", "deep/b.tar.gz", "a.tar.gz", "a.tar.gz"):
        assert target == version(hosting, endpoint, target)
    assert 2 == loads(hosting, endpoint)


def test_a_container_that_is_full_gives_up_the_model_unused_for_longest(
    hosting: HostingPlane,
) -> None:
    endpoint = endpoint_of(hosting, "a", "b", "c", Environment={"CAPACITY": "2"})
    for target in ("a", "b", "a", "c", "a"):
        assert target == version(hosting, endpoint, target)
    assert 3 == loads(hosting, endpoint)
    assert "b" == version(hosting, endpoint, "b")
    assert 4 == loads(hosting, endpoint)


def test_without_a_cache_a_model_is_unloaded_after_each_call(hosting: HostingPlane) -> None:
    setting = {"ModelCacheSetting": "Disabled"}
    endpoint = endpoint_of(hosting, "a", MultiModelConfig=setting)
    assert ["a", "a"] == [version(hosting, endpoint, "a") for _ in range(2)]
    assert 2 == loads(hosting, endpoint)
    models = hosting.process.root / "containers/endpoint" / endpoint
    assert [] == [*models.glob("*/opt/ml/models/*")]


def test_a_model_can_be_added_while_the_endpoint_serves(hosting: HostingPlane) -> None:
    endpoint = endpoint_of(hosting, "a")
    found = refusal(hosting, endpoint, TargetModel="later")
    assert "ValidationError" == found["Error"]["Code"]
    assert "Failed to download model data" in found["Error"]["Message"]
    config = hosting.describe(endpoint)["EndpointConfigName"]
    name = hosting.api.describe_endpoint_config(EndpointConfigName=config)
    model = hosting.api.describe_model(ModelName=name["ProductionVariants"][0]["ModelName"])
    prefix = model["PrimaryContainer"]["ModelDataUrl"].removeprefix(f"s3://{BUCKET}/")
    hosting.upload(archive({"version.txt": "later"}), f"{prefix}later")
    assert "later" == version(hosting, endpoint, "later")


def test_a_call_without_a_target_is_refused(hosting: HostingPlane) -> None:
    endpoint = endpoint_of(hosting, "a")
    found = refusal(hosting, endpoint)
    assert "ValidationError" == found["Error"]["Code"]
    assert "missing a target model header" in found["Error"]["Message"]


def test_a_model_that_cannot_be_loaded_is_told_and_tried_again(hosting: HostingPlane) -> None:
    endpoint = endpoint_of(hosting, "a")
    model_of = hosting.describe(endpoint)["EndpointConfigName"]
    variants = hosting.api.describe_endpoint_config(EndpointConfigName=model_of)
    model = hosting.api.describe_model(ModelName=variants["ProductionVariants"][0]["ModelName"])
    prefix = model["PrimaryContainer"]["ModelDataUrl"].removeprefix(f"s3://{BUCKET}/")
    hosting.upload(archive({"broken": ""}), f"{prefix}b")
    found = refusal(hosting, endpoint, TargetModel="b")
    assert ("ModelError", 500) == (found["Error"]["Code"], found["OriginalStatusCode"])
    hosting.upload(archive({"version.txt": "mended"}), f"{prefix}b")
    assert "mended" == version(hosting, endpoint, "b")


def test_a_target_that_leads_elsewhere_stays_below_the_models(hosting: HostingPlane) -> None:
    endpoint = endpoint_of(hosting, "a", "../../../b")
    assert "ValidationError" == refusal(hosting, endpoint, TargetModel="../none")["Error"]["Code"]
    home = hosting.process.root / "containers/endpoint" / endpoint
    before = set(home.glob("*/opt/*"))
    version(hosting, endpoint, "../../../b")
    assert before == set(home.glob("*/opt/*"))
