"""Models: which image, which data, which variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kneighbors.local.faults import invalid
from kneighbors.local.job_checks import check_image
from kneighbors.local.kinds import MODELS
from kneighbors.local.objects import split_s3
from kneighbors.local.operations import Request, operation

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

_DESCRIBED = (
    "ModelName",
    "PrimaryContainer",
    "Containers",
    "InferenceExecutionConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
)

#: Most bytes of all of a container's variables.
_ENVIRONMENT_BYTES = 32 << 10


@operation("CreateModel")
def create_model(plane: Plane, request: Request) -> dict[str, Any]:
    """Note a model, whose image and data are there."""
    containers = _containers(request)
    _check_execution(request, containers)
    for container in containers:
        _check_container(plane, container)
    document = {member: request[member] for member in _DESCRIBED if request.get(member)}
    document["EnableNetworkIsolation"] = request.get("EnableNetworkIsolation", False)
    return MODELS.create(plane, request, document)


operation("DescribeModel")(MODELS.describe)
operation("ListModels")(MODELS.list)
operation("DeleteModel")(MODELS.delete)


def _containers(request: Request) -> list[dict[str, Any]]:
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if bool(primary) == bool(several):
        raise invalid("Expected one of PrimaryContainer and Containers.")
    if not request.get("ExecutionRoleArn"):
        raise invalid("ExecutionRoleArn is required to create a model.")
    return several or [primary]


def _check_execution(request: Request, containers: list[dict[str, Any]]) -> None:
    mode = request.get("InferenceExecutionConfig", {}).get("Mode", "Serial")
    names = [one.get("ContainerHostname") for one in containers]
    if mode == "Direct" and not all(names):
        raise invalid("Containers that are invoked directly need a ContainerHostname each.")
    given = [name for name in names if name]
    if len(set(given)) < len(given):
        raise invalid("Every ContainerHostname must be unique within a model.")
    if len(containers) > 1 and any(one.get("Mode") == "MultiModel" for one in containers):
        raise invalid(
            "kneighbors local does not implement MultiModel in one of several Containers."
        )


def _check_container(plane: Plane, container: dict[str, Any]) -> None:
    if container.get("ModelPackageName"):
        raise invalid("kneighbors local does not implement ModelPackageName.")
    if not container.get("Image"):
        raise invalid("Expected an Image in the container definition.")
    check_image(plane, container["Image"])
    environment = container.get("Environment", {})
    if sum(len(f"{key}{value}".encode()) for key, value in environment.items()) > (
        _ENVIRONMENT_BYTES
    ):
        raise invalid(f"The container's Environment exceeds {_ENVIRONMENT_BYTES} bytes.")
    _check_data(plane, container)


def _check_data(plane: Plane, container: dict[str, Any]) -> None:
    url, source = container.get("ModelDataUrl"), container.get("ModelDataSource")
    if url and source:
        raise invalid("Expected only one of ModelDataUrl and ModelDataSource.")
    is_many = container.get("Mode") == "MultiModel"
    if is_many and not (url or source):
        raise invalid("A multi-model container needs the ModelDataUrl under which its models are.")
    if url:
        _check_address(plane, url, is_prefix=is_many)
    sources = [source] if source else []
    for one in [*sources, *container.get("AdditionalModelDataSources", [])]:
        _check_source(plane, one["S3DataSource"])


def _check_source(plane: Plane, source: dict[str, Any]) -> None:
    url, is_prefix = source["S3Uri"], source["S3DataType"] == "S3Prefix"
    if is_prefix and not url.endswith("/"):
        raise invalid(f"The S3Uri {url} of an S3Prefix must end with a forward slash (/).")
    if is_prefix and source["CompressionType"] == "Gzip":
        raise invalid("CompressionType Gzip needs S3DataType S3Object.")
    if source.get("HubAccessConfig") or source.get("ManifestS3Uri"):
        raise invalid("kneighbors local does not implement HubAccessConfig and ManifestS3Uri.")
    _check_address(plane, url, is_prefix)


def _check_address(plane: Plane, url: str, is_prefix: bool) -> None:
    """Refuse an address where nothing is; of many models none need be there yet."""
    bucket, key = split_s3(url)
    is_there = plane.objects.has_bucket(bucket) if is_prefix else plane.objects.exists(bucket, key)
    if not is_there:
        raise invalid(f"Could not find model data at {url}.")
