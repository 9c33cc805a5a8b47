"""Endpoints come up, tell why they do not, and go."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.local_hosting import IMAGE, HostingPlane, archive
from support.server_process import wait_for

ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


@pytest.fixture(scope="module")
def shared(hosting: HostingPlane) -> str:
    """An endpoint that tests do not change."""
    return hosting.endpoint()


def refusal(call: Any, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**members)
    assert "ValidationException" == caught.value.response["Error"]["Code"]
    return str(caught.value.response["Error"]["Message"])


def test_an_endpoint_in_service_describes_its_variants(hosting: HostingPlane, shared: str) -> None:
    found = hosting.describe(shared)
    variant = found["ProductionVariants"][0]
    assert ("InService", f"{ARN}endpoint/{shared}") == (
        found["EndpointStatus"],
        found["EndpointArn"],
    )
    assert ("AllTraffic", 1.0, 1, 1) == (
        variant["VariantName"],
        variant["CurrentWeight"],
        variant["CurrentInstanceCount"],
        variant["DesiredInstanceCount"],
    )
    assert IMAGE == variant["DeployedImages"][0]["SpecifiedImage"]
    assert not [name for name in found if name.startswith("_")]
    assert "FailureReason" not in found


def test_an_endpoint_is_listed_by_its_status(hosting: HostingPlane, shared: str) -> None:
    asked = {"NameContains": shared, "StatusEquals": "InService"}
    listed = hosting.api.list_endpoints(**asked)["Endpoints"]
    assert shared in [one["EndpointName"] for one in listed]
    assert [] == hosting.api.list_endpoints(**asked | {"StatusEquals": "Failed"})["Endpoints"]


def test_the_container_has_the_models_files_and_variables(hosting: HostingPlane) -> None:
    data = hosting.upload(archive({"version.txt": "7", "code/deep/notes.txt": "oak"}))
    model = hosting.model(ModelDataUrl=data, Environment={"CELLAR": "north"})
    endpoint = hosting.endpoint({"ModelName": model})
    assert {"version.txt": "7", "code/deep/notes.txt": "oak"} == hosting.ask(endpoint, "files")
    assert "north" == hosting.ask(endpoint, "environment")["CELLAR"]


def test_uncompressed_model_data_is_laid_out_by_its_keys(hosting: HostingPlane) -> None:
    prefix = hosting.new("plain")
    for name in ("version.txt", "sub/more.txt"):
        hosting.upload(name.encode(), f"{prefix}/{name}")
    source = {"S3DataType": "S3Prefix", "CompressionType": "None"}
    source["S3Uri"] = f"s3://cellar/{prefix}/"
    model = hosting.model(ModelDataSource={"S3DataSource": source})
    endpoint = hosting.endpoint({"ModelName": model})
    expected = {"version.txt": "version.txt", "sub/more.txt": "sub/more.txt"}
    assert expected == hosting.ask(endpoint, "files")


def test_what_a_container_writes_is_in_the_endpoints_log(
    hosting: HostingPlane, shared: str
) -> None:
    logs = hosting.process.client("logs")
    group = f"/aws/sagemaker/Endpoints/{shared}"
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert streams[0]["logStreamName"].startswith("AllTraffic/i-")
    events = logs.filter_log_events(logGroupName=group)["events"]
    assert "serving" in [event["message"] for event in events]


def test_a_container_that_ends_fails_its_endpoint_at_once(hosting: HostingPlane) -> None:
    model = hosting.model(Environment={"EXIT": "3"})
    endpoint = hosting.endpoint({"ModelName": model}, wait=False)
    reason = hosting.wait(endpoint, "Failed")["FailureReason"]
    expected = (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint. Its process ended with exit code 3."
    )
    assert expected == reason


def test_a_container_that_never_is_well_fails_its_endpoint(hosting: HostingPlane) -> None:
    model = hosting.model(Environment={"PING": "never"})
    endpoint = hosting.endpoint({"ModelName": model}, wait=False)
    assert "did not pass the ping health check" in hosting.wait(endpoint, "Failed")["FailureReason"]
    with pytest.raises(ClientError, match=f"Endpoint {endpoint} of account 123456789012 not found"):
        hosting.invoke(endpoint, b"x")
    hosting.api.delete_endpoint(EndpointName=endpoint)
    wait_for(lambda: not exists(hosting, endpoint), "the failed endpoint to be gone")


def test_model_data_that_was_deleted_since_fails_the_endpoint(hosting: HostingPlane) -> None:
    url = hosting.upload(archive({"version.txt": "1"}))
    config = hosting.config({"ModelName": hosting.model(ModelDataUrl=url)})
    hosting.s3.delete_object(Bucket="cellar", Key=url.removeprefix("s3://cellar/"))
    name = hosting.new("endpoint")
    hosting.api.create_endpoint(EndpointName=name, EndpointConfigName=config)
    expected = f'Failed to download model data for container "container_1" from URL: "{url}".'
    assert hosting.wait(name, "Failed")["FailureReason"].startswith(expected)


def test_several_instances_share_the_calls(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint({"ModelName": hosting.model(), "InitialInstanceCount": 2})
    pids = [hosting.ask(endpoint, "version")["pid"] for _ in range(10)]
    assert [5, 5] == [pids.count(pid) for pid in set(pids)]


def test_an_instance_that_died_is_replaced(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint()
    before = hosting.ask(endpoint, "version")["pid"]
    os.kill(before, signal.SIGKILL)
    assert before != wait_for(lambda: pid_of(hosting, endpoint), "another instance")


def test_an_instance_that_is_not_well_any_more_is_replaced(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint()
    before = hosting.ask(endpoint, "sicken")["pid"]
    wait_for(lambda: pid_of(hosting, endpoint) not in (None, before), "another instance")


def test_a_deleted_endpoint_is_gone_and_so_are_its_processes(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint()
    pid = hosting.ask(endpoint, "version")["pid"]
    hosting.api.delete_endpoint(EndpointName=endpoint)
    wait_for(lambda: not exists(hosting, endpoint), "the endpoint to be gone")
    assert f'Could not find endpoint "{ARN}endpoint/{endpoint}".' == refusal(
        hosting.api.describe_endpoint, EndpointName=endpoint
    )
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not (hosting.process.root / "containers/endpoint" / endpoint).exists()


def test_an_endpoint_that_is_being_created_can_be_neither_deleted_nor_updated(
    hosting: HostingPlane,
) -> None:
    model = hosting.model(Environment={"PING": "never"})
    endpoint = hosting.endpoint({"ModelName": model}, wait=False)
    expected = f'Cannot update in-progress endpoint "{ARN}endpoint/{endpoint}".'
    assert expected == refusal(hosting.api.delete_endpoint, EndpointName=endpoint)
    config = hosting.describe(endpoint)["EndpointConfigName"]
    assert expected == refusal(
        hosting.api.update_endpoint, EndpointName=endpoint, EndpointConfigName=config
    )


def test_an_endpoint_goes_on_without_its_model_and_configuration(hosting: HostingPlane) -> None:
    model = hosting.model()
    endpoint = hosting.endpoint({"ModelName": model})
    config = hosting.describe(endpoint)["EndpointConfigName"]
    hosting.api.delete_endpoint_config(EndpointConfigName=config)
    hosting.api.delete_model(ModelName=model)
    assert "1" == hosting.ask(endpoint, "version")["version"]
    missing = f'Could not find endpoint configuration "{ARN}endpoint-config/{config}".'
    other = hosting.config({"ModelName": hosting.model()})
    assert missing == refusal(
        hosting.api.update_endpoint, EndpointName=endpoint, EndpointConfigName=other
    )


def test_an_endpoint_of_a_name_that_is_taken_is_refused(hosting: HostingPlane, shared: str) -> None:
    config = hosting.describe(shared)["EndpointConfigName"]
    expected = f'Cannot create already existing endpoint "{ARN}endpoint/{shared}".'
    assert expected == refusal(
        hosting.api.create_endpoint, EndpointName=shared, EndpointConfigName=config
    )


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ({"ModelName": "nobody", "InstanceType": "ml.m5.large"}, "Could not find model"),
        ({"InstanceType": "ml.m5.large"}, "inference components"),
        ({"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}, "MemorySizeInMB"),
        (
            {
                "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
                "InitialInstanceCount": 1,
            },
            "takes no instances",
        ),
        ({"ManagedInstanceScaling": {"Status": "ENABLED"}}, "ManagedInstanceScaling"),
    ],
)
def test_a_variant_that_breaks_a_rule_is_refused(
    hosting: HostingPlane, variant: dict[str, Any], expected: str
) -> None:
    given = variant if "InstanceType" in variant else {"ModelName": hosting.model(), **variant}
    said = refusal(
        hosting.api.create_endpoint_config,
        EndpointConfigName=hosting.new("config"),
        ProductionVariants=[{"VariantName": "v", **given}],
    )
    assert expected in said


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {
                "DataCaptureConfig": {
                    "EnableCapture": True,
                    "InitialSamplingPercentage": 100,
                    "DestinationS3Uri": "s3://cellar/captured",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "DataCaptureConfig",
        ),
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, "S3OutputPath"),
    ],
)
def test_a_configuration_of_what_is_not_here_is_refused_by_name(
    hosting: HostingPlane, members: dict[str, Any], expected: str
) -> None:
    said = refusal(
        hosting.api.create_endpoint_config,
        EndpointConfigName=hosting.new("config"),
        ProductionVariants=[
            {"VariantName": "v", "ModelName": hosting.model(), "InstanceType": "ml.m5.large"}
        ],
        **members,
    )
    assert expected in said


def exists(hosting: HostingPlane, endpoint: str) -> bool:
    found = hosting.api.list_endpoints(NameContains=endpoint)["Endpoints"]
    return endpoint in [one["EndpointName"] for one in found]


def pid_of(hosting: HostingPlane, endpoint: str) -> int | None:
    """Return the process that answers; None while none does."""
    try:
        return int(hosting.ask(endpoint, "version")["pid"])
    except (hosting.runtime.exceptions.ServiceUnavailable, hosting.runtime.exceptions.ModelError):
        return None


def test_an_endpoint_says_what_is_wrong_with_its_archive(hosting: HostingPlane) -> None:
    url = hosting.upload(archive({"../outside": "x"}))
    endpoint = hosting.endpoint({"ModelName": hosting.model(ModelDataUrl=url)}, wait=False)
    expected = (
        f'Failed to extract model data archive for container "container_1" from URL "{url}". '
        "Please ensure that the object located at the URL is a valid tar.gz archive. "
        "Expected plain files and directories, got a name that leads elsewhere: '../outside'."
    )
    assert expected == hosting.wait(endpoint, "Failed")["FailureReason"]
