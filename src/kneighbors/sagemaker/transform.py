"""Batch transform: whole files of queries in S3, answered into S3."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kneighbors.errors import KNeighborsError, ParameterRefused
from kneighbors.sagemaker import cloud_logs, requests
from kneighbors.sagemaker.aws import Aws
from kneighbors.sagemaker.deployment import DEFAULT_INSTANCE_TYPE, Deployment, check_name
from kneighbors.sagemaker.made import Made
from kneighbors.sagemaker.upload import upload_all
from kneighbors.sagemaker.waiting import remarked
from kneighbors.sagemaker.waiting import wait as await_status
from kneighbors.search.progress import Progress, ignore

__all__ = ["TransformJob", "Transformed", "transform", "transform_artifact"]

_LAST = ("Completed", "Failed", "Stopped")
_MOST_PAYLOAD_MB = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformJob:
    """A batch transform job as it shall be.

    Parameters
    ----------
    name : str
    model : str
        Name of a model of SageMaker's.
    input, output : str
        ``s3://`` addresses: a file or a prefix, and a prefix.
    content_type : str, default="application/x-npy"
        Of the files.
    accept : str, optional
        Of the answers.
    split : {"None", "Line"}, default="None"
        Whether each line of a file is a record.
    strategy : {"SingleRecord", "MultiRecord"}, optional
        How many records are sent in a request.
    join : bool, default=False
        Whether the answers are joined to the records.
    instance_type : str, default="ml.m5.large"
    instances : int, default=1
    max_concurrency : int, optional
        Requests at once to an instance.
    max_payload_mb : int, optional
        Length of a request; 6 unless the model says otherwise.

    Raises
    ------
    ParameterRefused
        ``endpoint-name``, ``transform-address`` or ``parameter-range``.
    """

    name: str
    model: str
    input: str
    output: str
    content_type: str = "application/x-npy"
    accept: str | None = None
    split: Literal["None", "Line"] = "None"
    strategy: Literal["SingleRecord", "MultiRecord"] | None = None
    join: bool = False
    instance_type: str = DEFAULT_INSTANCE_TYPE
    instances: int = 1
    max_concurrency: int | None = None
    max_payload_mb: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        for option, address in (("input", self.input), ("output", self.output)):
            if not address.startswith("s3://") or not address.removeprefix("s3://").strip("/"):
                raise ParameterRefused(
                    "transform-address",
                    f"Expected s3://bucket/prefix for the {option}, got {address!r:.200}.",
                )
        for option, number, most in (
            ("instances", self.instances, 1 << 31),
            ("max_concurrency", self.max_concurrency, 1 << 31),
            ("max_payload_mb", self.max_payload_mb, _MOST_PAYLOAD_MB),
        ):
            least = 0 if option == "max_payload_mb" else 1
            if number is not None and not least <= number <= most:
                raise ParameterRefused(
                    "parameter-range", f"Expected {least} <= {option} <= {most}, got {number}."
                )

    def request(self) -> requests.Request:
        """Return the request that begins the job."""
        parameters: dict[str, Any] = {
            "TransformJobName": self.name,
            "ModelName": self.model,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": self.input}},
                "ContentType": self.content_type,
                "SplitType": self.split,
            },
            "TransformOutput": {
                "S3OutputPath": self.output,
                "AssembleWith": "Line" if self.split == "Line" else "None",
            },
            "TransformResources": {
                "InstanceType": self.instance_type,
                "InstanceCount": self.instances,
            },
        }
        if self.accept is not None:
            parameters["TransformOutput"]["Accept"] = self.accept
        if self.join:
            parameters["DataProcessing"] = {"JoinSource": "Input"}
        optional = {
            "BatchStrategy": self.strategy,
            "MaxConcurrentTransforms": self.max_concurrency,
            "MaxPayloadInMB": self.max_payload_mb,
        }
        parameters |= {name: value for name, value in optional.items() if value is not None}
        return requests.Request("sagemaker", "CreateTransformJob", parameters)


@dataclass(frozen=True, slots=True)
class Transformed:
    """A batch transform job that has ended well, or was not waited for.

    Parameters
    ----------
    name, status : str
    output : str
        Where the answers are.
    files : tuple of str
        Their addresses.
    seconds : float
    """

    name: str
    status: str
    output: str
    files: tuple[str, ...] = field(default_factory=tuple)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return what ``kneighbors transform --json`` prints."""
        return asdict(self)


def transform(
    job: TransformJob,
    aws: Aws,
    *,
    wait: bool = True,
    timeout_s: float = 3600.0,
    progress: Progress = ignore,
) -> Transformed:
    """Run a batch transform job.

    Parameters
    ----------
    job : TransformJob
    aws : Aws
    wait : bool, default=True
    timeout_s : float, default=3600.0
        How long to wait, in seconds.
    progress : callable, optional
        Called as ``progress(status, seconds, timeout)``.

    Returns
    -------
    Transformed

    Raises
    ------
    ContainersFailed
        With code ``transform-failed``.
    ServiceError
        ``aws-refused``, ``wait-timeout`` and others of `Aws.call`.
    """
    _start(job, aws)
    if not wait:
        return Transformed(job.name, "InProgress", job.output)
    return _completed(job, aws, timeout_s, progress)


def _start(job: TransformJob, aws: Aws) -> None:
    request = job.request()
    aws.call(request.service, request.operation, **request.parameters)


def _completed(job: TransformJob, aws: Aws, timeout_s: float, progress: Progress) -> Transformed:
    """Wait for a job that was started, and return what came of it."""
    began = time.monotonic()
    with remarked(f"The transform job {job.name} goes on, and its model stays."):
        found = await_status(
            lambda: aws.call("sagemaker", "DescribeTransformJob", TransformJobName=job.name),
            lambda found: str(found["TransformJobStatus"]),
            lambda status: status in _LAST,
            timeout_s=timeout_s,
            what=f"the transform job {job.name}",
            progress=progress,
        )
    status = str(found["TransformJobStatus"])
    if status != "Completed":
        reason = str(found.get("FailureReason") or "no reason given").strip().rstrip(".")
        raise cloud_logs.ContainersFailed(
            "transform-failed",
            f"Expected a job that completes, got the status {status}: {reason}.",
            where=f"transform job {job.name}",
            log_lines=cloud_logs.tail(aws, cloud_logs.TRANSFORM_JOBS, f"{job.name}/"),
        )
    seconds = round(time.monotonic() - began, 3)
    return Transformed(job.name, status, job.output, _files(aws, job.output), seconds)


def transform_artifact(
    deployment: Deployment,
    job: TransformJob,
    aws: Aws,
    *,
    keep_model: bool = False,
    wait: bool = True,
    timeout_s: float = 3600.0,
    progress: Progress = ignore,
) -> Transformed:
    """Make a model of an artifact, run a job with it, and remove the model again.

    Parameters
    ----------
    deployment : Deployment
        Its first variant is the model; nothing is deployed.
    job : TransformJob
        Its `model` is the deployment's.
    aws, wait, timeout_s, progress
        As of `transform`.
    keep_model : bool, default=False
        Leave the model and its archive; so it is without `wait`.

    Returns
    -------
    Transformed

    Raises
    ------
    KNeighborsError
        As of `transform` and of `kneighbors.sagemaker.package.package`.
    """
    made = Made(aws)
    try:
        upload_all(deployment, aws, made, progress)
        made.perform(requests.create_model(deployment, 0))
        _start(job, aws)
    except BaseException:
        made.remove()
        raise
    if not wait:
        return Transformed(job.name, "InProgress", job.output)
    try:
        done = _completed(job, aws, timeout_s, progress)
    except KNeighborsError as error:
        if error.code != "wait-timeout":
            made.remove()
        raise
    # An interruption comes by here: the job goes on, and needs its model.
    if not keep_model:
        made.remove()
    return done


def _files(aws: Aws, output: str) -> tuple[str, ...]:
    bucket, _, prefix = output.removeprefix("s3://").partition("/")
    found = aws.pages("s3", "ListObjectsV2", "Contents", Bucket=bucket, Prefix=prefix)
    return tuple(f"s3://{bucket}/{one['Key']}" for one in found)
