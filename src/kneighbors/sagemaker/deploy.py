"""An artifact as an endpoint: uploaded, created, awaited and tried, or nothing of it left."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kneighbors.errors import KNeighborsError, ParameterRefused, ServiceError
from kneighbors.sagemaker import cloud_logs, requests, smoke
from kneighbors.sagemaker.aws import Access, Aws
from kneighbors.sagemaker.deployment import Deployment, Variant
from kneighbors.sagemaker.endpoints import UNSETTLED, describe, wait_for
from kneighbors.sagemaker.made import Made
from kneighbors.sagemaker.package import as_directory, script_of
from kneighbors.sagemaker.upload import upload_all
from kneighbors.sagemaker.waiting import remarked
from kneighbors.search.progress import Progress, ignore

__all__ = ["Access", "Aws", "Deployed", "Deployment", "Variant", "deploy"]


@dataclass(frozen=True, slots=True)
class Deployed:
    """An endpoint that was made or changed.

    Parameters
    ----------
    name, arn, region : str
        Of the endpoint.
    status : str
        ``InService``, unless it was not waited for.
    config : str
        Name of its configuration.
    models, archives : tuple of str
        Names of its models, and the addresses in S3 that they were uploaded to.
    seconds : float
        From the first request to the last.
    """

    name: str
    arn: str
    region: str
    status: str
    config: str
    models: tuple[str, ...]
    archives: tuple[str, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return what ``kneighbors deploy --json`` prints."""
        return asdict(self)


def deploy(
    deployment: Deployment,
    aws: Aws,
    *,
    wait: bool = True,
    timeout_s: float = 1800.0,
    progress: Progress = ignore,
) -> Deployed:
    """Make an endpoint, or change one, and try it with a query.

    Parameters
    ----------
    deployment : Deployment
    aws : Aws
    wait : bool, default=True
        Whether to wait until the endpoint is in service, and to try it.
    timeout_s : float, default=1800.0
        How long to wait, in seconds.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Deployed

    Raises
    ------
    ContainersFailed
        ``deployment-failed``, with the last lines of the log. An endpoint that was to be changed
        serves what it served before.
    ServiceError
        ``endpoint-exists``, ``endpoint-missing``, ``endpoint-busy``; ``smoke-test``;
        ``wait-timeout``, when nothing is removed, for the endpoint may yet come.
    StorageError
        ``bucket-missing``, or what S3 refused.
    ParameterRefused, ArtifactError
        As of `kneighbors.sagemaker.package.package`.
    """
    began = time.monotonic()
    before = _present(aws, deployment)
    made = Made(aws)
    try:
        archives = upload_all(deployment, aws, made, progress)
        arn = _create_all(deployment, made)
    except BaseException:
        made.remove()
        raise
    status = "Updating" if deployment.update else "Creating"
    if wait:
        name = deployment.name
        with remarked(f"The endpoint {name} goes on; `kneighbors delete {name}` removes it."):
            status = _settled(deployment, aws, made, before, timeout_s, progress)
            _try_all(deployment, aws, made, before, timeout_s, progress)
    places = range(len(deployment.variants))
    return Deployed(
        name=deployment.name,
        arn=arn,
        region=deployment.region,
        status=status,
        config=deployment.config_name,
        models=tuple(deployment.model_name(place) for place in places),
        archives=archives,
        seconds=round(time.monotonic() - began, 3),
    )


def _present(aws: Aws, deployment: Deployment) -> dict[str, Any] | None:
    """Refuse an endpoint that is there where none should be, and the other way round."""
    found = describe(aws, deployment.name)
    where = f"endpoint {deployment.name}"
    if found is None and deployment.update:
        raise ServiceError(
            "endpoint-missing",
            "Expected an endpoint to update, found none of this name.",
            where=where,
            hint="Leave out --update to make one.",
        )
    if found is not None and not deployment.update:
        raise ServiceError(
            "endpoint-exists",
            f"Expected a new name, got that of an endpoint with status {found['EndpointStatus']}.",
            where=where,
            hint="Give --update to change it, --name for another, or delete it.",
        )
    if found is not None and found["EndpointStatus"] in UNSETTLED:
        raise ServiceError(
            "endpoint-busy",
            f"Expected an endpoint in service, got the status {found['EndpointStatus']}.",
            where=where,
            hint="Wait until it is in service.",
        )
    return found


def _create_all(deployment: Deployment, made: Made) -> str:
    script = None
    if deployment.entry_point is not None:
        script = script_of(deployment.format, deployment.front, deployment.entry_point)
    for place in range(len(deployment.variants)):
        made.perform(requests.create_model(deployment, place, script))
    made.perform(requests.create_config(deployment))
    return str(made.perform(requests.make_endpoint(deployment))["EndpointArn"])


def _settled(
    deployment: Deployment,
    aws: Aws,
    made: Made,
    before: dict[str, Any] | None,
    timeout_s: float,
    progress: Progress,
) -> str:
    """Wait, and return the status; a failed deployment is removed."""
    found = wait_for(aws, deployment.name, timeout_s, progress)
    status = str(found.get("EndpointStatus", "Gone"))
    if status == "InService" and found.get("EndpointConfigName") == deployment.config_name:
        return status
    lines = cloud_logs.tail(aws, f"{cloud_logs.ENDPOINTS}/{deployment.name}")
    made.remove()
    reason = str(found.get("FailureReason") or "no reason given").rstrip(".")
    kept = "" if before is None else " It serves what it served before."
    raise cloud_logs.ContainersFailed(
        "deployment-failed",
        f"Expected an endpoint in service, got the status {status}: {reason}.{kept}",
        where=f"endpoint {deployment.name}",
        hint="What was made for it is removed.",
        log_lines=lines,
    )


def _try_all(
    deployment: Deployment,
    aws: Aws,
    made: Made,
    before: dict[str, Any] | None,
    timeout_s: float,
    progress: Progress,
) -> None:
    """Try each variant that was deployed from here; an endpoint that answers wrongly goes."""
    try:
        for variant in deployment.variants:
            if not variant.is_remote and deployment.entry_point is None and variant.weight > 0:
                _try(deployment, aws, variant)
    except KNeighborsError as error:
        lines = cloud_logs.tail(aws, f"{cloud_logs.ENDPOINTS}/{deployment.name}")
        if before is not None:
            aws.call(
                "sagemaker",
                "UpdateEndpoint",
                EndpointName=deployment.name,
                EndpointConfigName=before["EndpointConfigName"],
            )
            wait_for(aws, deployment.name, timeout_s, progress)
        made.remove()
        raise cloud_logs.ContainersFailed(
            error.code,
            error.message,
            where=error.where,
            hint="What was made for it is removed.",
            log_lines=lines,
        ) from error


def _try(deployment: Deployment, aws: Aws, variant: Variant) -> None:
    with as_directory(Path(variant.model)) as (directory, _):
        probe = smoke.Probe.of(directory)
    if deployment.async_output is not None:
        key = f"{deployment.prefix.strip('/')}/{deployment.config_name}/smoke-test.npy".lstrip("/")
        smoke.ask_async(aws, deployment.name, probe, deployment.bucket_or_default, key)
    else:
        target = variant.name if len(deployment.variants) > 1 else None
        smoke.ask(aws, deployment.name, target, probe)


def check_models(deployment: Deployment) -> None:
    """Refuse models that are no artifacts, before anything is asked of AWS.

    Raises
    ------
    ArtifactError, StorageError
        As `kneighbors.artifact.open_artifact` raises them.
    ParameterRefused
        With code ``model-address``, for an address in S3 that is no archive.
    """
    for variant in deployment.variants:
        if variant.is_remote and not variant.model.endswith(".tar.gz"):
            raise ParameterRefused(
                "model-address",
                "Expected s3://bucket/.../model.tar.gz, as `kneighbors package` makes it.",
                where=variant.model,
            )
        if not variant.is_remote:
            with as_directory(Path(variant.model)):
                pass
