"""An endpoint removed, with the configurations and models that were made for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from kneighbors.errors import ServiceError
from kneighbors.sagemaker.aws import Aws, AwsRefusal
from kneighbors.sagemaker.deployment import OWNER_TAG, check_name
from kneighbors.sagemaker.endpoints import describe, wait_for
from kneighbors.sagemaker.waiting import remarked
from kneighbors.search.progress import Progress, ignore

__all__ = ["Removal", "delete", "find_removal"]

_MISSING_CODES = ("ValidationException", "ResourceNotFound", "ResourceNotFoundException")


@dataclass(frozen=True, slots=True)
class Removal:
    """What belongs to an endpoint.

    Parameters
    ----------
    endpoint : str
    is_there : bool
        Whether the endpoint itself exists.
    configs, models : list of str
        Names of what carries the tag of this endpoint.
    archives : list of str
        Addresses in S3 of the models' archives.
    """

    endpoint: str
    is_there: bool
    configs: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def find_removal(aws: Aws, name: str) -> Removal:
    """Return what `delete` would remove: what was made for an endpoint, by its tags.

    Raises
    ------
    ServiceError
        ``endpoint-missing`` when there is neither the endpoint nor anything made for it.
    """
    check_name(name)
    found = describe(aws, name)
    # Names of ours begin with the endpoint's, cut where they would be too long.
    start = name[:40].rstrip("-")
    configs = [
        one["EndpointConfigName"]
        for one in aws.pages(
            "sagemaker", "ListEndpointConfigs", "EndpointConfigs", NameContains=start
        )
        if _is_owned(aws, one["EndpointConfigArn"], name)
    ]
    models = [
        one["ModelName"]
        for one in _listed(aws, "Models", start)
        if _is_owned(aws, one["ModelArn"], name)
    ]
    if found is None and not configs and not models:
        raise ServiceError(
            "endpoint-missing",
            "Expected an endpoint, found none of this name, nor anything made for it.",
            where=f"endpoint {name}",
        )
    archives = [address for model in models if (address := _archive_of(aws, model))]
    return Removal(name, found is not None, configs, models, archives)


def delete(
    aws: Aws,
    removal: Removal,
    *,
    keep_models: bool = False,
    artifacts: bool = False,
    timeout_s: float = 600.0,
    progress: Progress = ignore,
) -> Removal:
    """Remove an endpoint, and what was made for it.

    Parameters
    ----------
    aws : Aws
    removal : Removal
        As `find_removal` returned it.
    keep_models : bool, default=False
        Leave the models, and their archives.
    artifacts : bool, default=False
        Remove the archives in S3 too.
    timeout_s : float, default=600.0
        How long to wait for the endpoint to be gone, in seconds.
    progress : callable, optional
        Called as ``progress(status, seconds, timeout)``.

    Returns
    -------
    Removal
        What was removed.

    Raises
    ------
    ServiceError
        ``aws-refused``, such as for an endpoint that is being updated; ``wait-timeout``.
    """
    name = removal.endpoint
    if removal.is_there:
        aws.call("sagemaker", "DeleteEndpoint", EndpointName=name)
        with remarked(f"Another `kneighbors delete {name}` removes what was made for it."):
            wait_for(aws, name, timeout_s, progress)
    for config in removal.configs:
        _gone(aws, "DeleteEndpointConfig", EndpointConfigName=config)
    models = [] if keep_models else removal.models
    for model in models:
        _gone(aws, "DeleteModel", ModelName=model)
    archives = removal.archives if artifacts and not keep_models else []
    for address in archives:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        aws.call("s3", "DeleteObject", Bucket=bucket, Key=key)
    return Removal(name, removal.is_there, removal.configs, models, archives)


def _listed(aws: Aws, kind: str, start: str) -> Iterator[dict[str, Any]]:
    return aws.pages("sagemaker", f"List{kind}", kind, NameContains=start)


def _is_owned(aws: Aws, arn: str, name: str) -> bool:
    tags = aws.call("sagemaker", "ListTags", ResourceArn=arn).get("Tags", [])
    return {"Key": OWNER_TAG, "Value": name} in tags


def _archive_of(aws: Aws, model: str) -> str | None:
    """Return where a model's archive was uploaded to; None if it was in S3 before."""
    found = aws.call("sagemaker", "DescribeModel", ModelName=model)
    address = str(found.get("PrimaryContainer", {}).get("ModelDataUrl", ""))
    # What we upload lies under the model's own name.
    return address if address.endswith(f"/{model}/model.tar.gz") else None


def _gone(aws: Aws, operation: str, **parameters: str) -> None:
    try:
        aws.call("sagemaker", operation, **parameters)
    except AwsRefusal as error:
        if not (error.aws_code in _MISSING_CODES and "not find" in error.message):
            raise
