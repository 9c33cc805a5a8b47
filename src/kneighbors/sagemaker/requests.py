"""The requests that make an endpoint: a dry run prints them, a run sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kneighbors.sagemaker.deployment import OWNER_TAG, Deployment, Variant
from kneighbors.sagemaker.images import image_uri
from kneighbors.sagemaker.packaged import (
    OWN_SCRIPT,
    PLAIN_SCRIPT,
    environment_of,
    image_version_of,
)

SAGEMAKER = "sagemaker"
_SERVERLESS_CONCURRENCY = 5


@dataclass(frozen=True, slots=True)
class Request:
    """An operation of AWS's, and what it is given.

    Parameters
    ----------
    service : str
        By boto3's name.
    operation : str
        By AWS's name.
    parameters : dict
    """

    service: str
    operation: str
    parameters: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "service": self.service,
            "operation": self.operation,
            "parameters": self.parameters,
        }


def uploads(deployment: Deployment) -> list[tuple[Variant, Request]]:
    """Return the variants that are not in S3 yet, and their uploads, with ``Body`` as a word."""
    return [
        (
            variant,
            Request(
                "s3",
                "PutObject",
                {
                    "Bucket": deployment.bucket_or_default,
                    "Key": deployment.archive_key(place),
                    "Body": f"<model.tar.gz of {variant.model}>",
                },
            ),
        )
        for place, variant in enumerate(deployment.variants)
        if not variant.is_remote
    ]


def create_model(deployment: Deployment, place: int, script: str | None = None) -> Request:
    """Return the request for the model of the variant of that number.

    Parameters
    ----------
    deployment : Deployment
    place : int
    script : str, optional
        Name of the script in the archive; by default ours.
    """
    usual = PLAIN_SCRIPT if deployment.format == "sklearn" else OWN_SCRIPT
    environment = environment_of(deployment.format, deployment.front, script or usual)
    environment["SAGEMAKER_REGION"] = deployment.region
    if deployment.serverless_mb is not None:
        # AWS advises one process, for a second one doubles what is loaded.
        environment["SAGEMAKER_MODEL_SERVER_WORKERS"] = "1"
    environment |= deployment.environment
    parameters: dict[str, Any] = {
        "ModelName": deployment.model_name(place),
        "PrimaryContainer": {
            "Image": deployment.image
            or image_uri(deployment.region, image_version_of(deployment.format)),
            "ModelDataUrl": _archive_url(deployment, place),
            "Environment": dict(sorted(environment.items())),
        },
        "ExecutionRoleArn": deployment.role,
        "Tags": tags(deployment),
    }
    if deployment.network_isolation:
        parameters["EnableNetworkIsolation"] = True
    return Request(SAGEMAKER, "CreateModel", parameters)


def create_config(deployment: Deployment) -> Request:
    """Return the request for the endpoint's configuration."""
    parameters: dict[str, Any] = {
        "EndpointConfigName": deployment.config_name,
        "ProductionVariants": [
            _variant(deployment, place, variant)
            for place, variant in enumerate(deployment.variants)
        ],
        "Tags": tags(deployment),
    }
    if deployment.async_output is not None:
        parameters["AsyncInferenceConfig"] = {
            "OutputConfig": {"S3OutputPath": deployment.async_output}
        }
        if deployment.max_concurrency is not None:
            parameters["AsyncInferenceConfig"]["ClientConfig"] = {
                "MaxConcurrentInvocationsPerInstance": deployment.max_concurrency
            }
    return Request(SAGEMAKER, "CreateEndpointConfig", parameters)


def make_endpoint(deployment: Deployment) -> Request:
    """Return the request that makes the endpoint, or changes it."""
    parameters: dict[str, Any] = {
        "EndpointName": deployment.name,
        "EndpointConfigName": deployment.config_name,
    }
    if deployment.update:
        return Request(SAGEMAKER, "UpdateEndpoint", parameters)
    return Request(SAGEMAKER, "CreateEndpoint", parameters | {"Tags": tags(deployment)})


def all_requests(deployment: Deployment) -> list[Request]:
    """Return every request that changes something, in the order they are sent in."""
    models = [create_model(deployment, place) for place in range(len(deployment.variants))]
    sent = [request for _, request in uploads(deployment)]
    return [*sent, *models, create_config(deployment), make_endpoint(deployment)]


def tags(deployment: Deployment) -> list[dict[str, str]]:
    """Return the tags of all that is made."""
    pairs = {**deployment.tags, OWNER_TAG: deployment.name}
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def _archive_url(deployment: Deployment, place: int) -> str:
    variant = deployment.variants[place]
    if variant.is_remote:
        return variant.model
    return f"s3://{deployment.bucket_or_default}/{deployment.archive_key(place)}"


def _variant(deployment: Deployment, place: int, variant: Variant) -> dict[str, Any]:
    common: dict[str, Any] = {
        "VariantName": variant.name,
        "ModelName": deployment.model_name(place),
        "InitialVariantWeight": variant.weight,
    }
    if deployment.serverless_mb is not None:
        return common | {
            "ServerlessConfig": {
                "MemorySizeInMB": deployment.serverless_mb,
                "MaxConcurrency": deployment.max_concurrency or _SERVERLESS_CONCURRENCY,
            }
        }
    if deployment.startup_timeout_s is not None:
        common["ContainerStartupHealthCheckTimeoutInSeconds"] = deployment.startup_timeout_s
    return common | {
        "InstanceType": variant.instance_type,
        "InitialInstanceCount": variant.instances,
    }
