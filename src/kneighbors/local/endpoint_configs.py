"""Endpoint configurations: which models on how many instances, and which share of the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kneighbors.local.faults import invalid
from kneighbors.local.kinds import ENDPOINT_CONFIGS, MODELS
from kneighbors.local.objects import split_s3
from kneighbors.local.operations import Request, operation

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

_DESCRIBED = (
    "EndpointConfigName",
    "ProductionVariants",
    "KmsKeyId",
    "AsyncInferenceConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
)
_NOT_IMPLEMENTED = ("ShadowProductionVariants", "ExplainerConfig", "CrossRegionTrafficConfig")
_NOT_IMPLEMENTED_OF_VARIANTS = ("InstancePools", "ManagedInstanceScaling", "AcceleratorType")
_MEMORY_STEP_MB = 1024


@operation("CreateEndpointConfig")
def create_endpoint_config(plane: Plane, request: Request) -> dict[str, Any]:
    """Note a configuration, whose models are there."""
    _refuse(request, _NOT_IMPLEMENTED)
    if request.get("DataCaptureConfig", {}).get("EnableCapture", False):
        raise invalid("kneighbors local does not implement DataCaptureConfig.")
    variants = [_variant(plane, one) for one in request["ProductionVariants"]]
    names = [one["VariantName"] for one in variants]
    if len(set(names)) < len(names):
        raise invalid(f"Every VariantName must be unique, got {', '.join(names)}.")
    if request.get("AsyncInferenceConfig"):
        _check_async(request["AsyncInferenceConfig"], variants)
    document = {member: request[member] for member in _DESCRIBED if request.get(member)}
    document["ProductionVariants"] = variants
    return ENDPOINT_CONFIGS.create(plane, request, document)


operation("DescribeEndpointConfig")(ENDPOINT_CONFIGS.describe)
operation("ListEndpointConfigs")(ENDPOINT_CONFIGS.list)
operation("DeleteEndpointConfig")(ENDPOINT_CONFIGS.delete)


def _variant(plane: Plane, variant: dict[str, Any]) -> dict[str, Any]:
    """Return a variant with its defaults."""
    _refuse(variant, _NOT_IMPLEMENTED_OF_VARIANTS)
    name = variant["VariantName"]
    if not variant.get("ModelName"):
        raise invalid(
            f"Expected a ModelName in variant {name}; kneighbors local does not implement "
            "inference components."
        )
    model = MODELS.found(plane, variant["ModelName"])
    complete = {"InitialVariantWeight": 1.0, **variant}
    if variant.get("ServerlessConfig"):
        _check_serverless(name, variant, model)
        return complete
    if not variant.get("InstanceType"):
        raise invalid(f"Expected an InstanceType or a ServerlessConfig in variant {name}.")
    return {"InitialInstanceCount": 1, **complete}


def _check_serverless(name: str, variant: dict[str, Any], model: dict[str, Any]) -> None:
    config = variant["ServerlessConfig"]
    if variant.get("InstanceType") or variant.get("InitialInstanceCount"):
        raise invalid(f"Variant {name} has a ServerlessConfig and takes no instances.")
    if config["MemorySizeInMB"] % _MEMORY_STEP_MB:
        raise invalid(
            f"MemorySizeInMB of variant {name} must be one of 1024, 2048, 3072, 4096, 5120, 6144; "
            f"got {config['MemorySizeInMB']}."
        )
    if config.get("ProvisionedConcurrency", 0) > config["MaxConcurrency"]:
        raise invalid(f"ProvisionedConcurrency of variant {name} must not exceed MaxConcurrency.")
    containers = model.get("Containers") or [model["PrimaryContainer"]]
    if len(containers) > 1 or containers[0].get("Mode") == "MultiModel":
        raise invalid(f"Variant {name} is serverless and serves one model in one container only.")
    if containers[0].get("ModelDataSource"):
        raise invalid(f"Variant {name} is serverless and does not support ModelDataSource.")


def _check_async(config: dict[str, Any], variants: list[dict[str, Any]]) -> None:
    output = config["OutputConfig"]
    if not output.get("S3OutputPath"):
        raise invalid("Expected an S3OutputPath in the OutputConfig of AsyncInferenceConfig.")
    for member in ("S3OutputPath", "S3FailurePath"):
        if output.get(member):
            split_s3(output[member])
    notification = output.get("NotificationConfig", {})
    if notification.get("SuccessTopic") or notification.get("ErrorTopic"):
        raise invalid("kneighbors local does not implement NotificationConfig.")
    if len(variants) > 1:
        raise invalid("An asynchronous endpoint has one production variant.")
    if variants[0].get("ServerlessConfig"):
        raise invalid("AsyncInferenceConfig is not supported for a serverless endpoint.")


def _refuse(request: dict[str, Any], members: tuple[str, ...]) -> None:
    for member in members:
        if request.get(member):
            raise invalid(f"kneighbors local does not implement {member}.")
