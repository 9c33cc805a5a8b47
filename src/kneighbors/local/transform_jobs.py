"""The operations on batch transform jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kneighbors.local.channels import check_present
from kneighbors.local.faults import invalid
from kneighbors.local.job_checks import check_output
from kneighbors.local.job_failures import INTERRUPTED, short
from kneighbors.local.json_paths import JsonPath
from kneighbors.local.kinds import ENDED, MODELS, TRANSFORM_JOBS
from kneighbors.local.operations import Request, operation
from kneighbors.local.running import recovery
from kneighbors.local.transform_run import KIND, run_transform_job

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

_MOST_MB = 100
_FILTERED = ("text/csv", "application/json", "application/jsonlines", "application/jsonl")


@operation("CreateTransformJob")
def create_transform_job(plane: Plane, request: Request) -> dict[str, Any]:
    """Check a job, write its record and start it."""
    name = request["TransformJobName"]
    model = MODELS.found(plane, request["ModelName"])
    containers = model.get("Containers") or [model["PrimaryContainer"]]
    _check(plane, request, containers, model["ExecutionRoleArn"])
    now = time.time()
    document = {key: value for key, value in request.items() if key != "Tags"}
    document |= {
        "TransformJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
        "_containers": containers,  # as they are now: the model may be deleted meanwhile
    }
    answer = TRANSFORM_JOBS.create(plane, request, document)
    plane.running.start(KIND, name, lambda task: run_transform_job(plane, name, task))
    return answer


operation("DescribeTransformJob")(TRANSFORM_JOBS.describe)
operation("ListTransformJobs")(TRANSFORM_JOBS.list)


@operation("StopTransformJob")
def stop_transform_job(plane: Plane, request: Request) -> None:
    """Ask a job to end; files that it has not begun have no output."""
    TRANSFORM_JOBS.stop(plane, request["TransformJobName"])


@recovery
def fail_interrupted_jobs(plane: Plane) -> None:
    """Note the end of jobs that an earlier plane had running when it was killed."""
    for name, job in plane.records.all(KIND):
        if job["TransformJobStatus"] not in ENDED:
            facts = {"TransformJobStatus": "Failed", "FailureReason": short(INTERRUPTED)}
            plane.records.update(KIND, name, {**facts, "TransformEndTime": time.time()})


def _check(plane: Plane, request: Request, containers: list[dict[str, Any]], role: str) -> None:
    """Refuse what is of the right shape and yet cannot be run."""
    given = request["TransformInput"]
    source = given["DataSource"]["S3DataSource"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise invalid(
            "kneighbors local transforms S3DataType S3Prefix and ManifestFile, not "
            f"{source['S3DataType']}."
        )
    if given.get("SplitType") == "TFRecord":
        raise invalid("kneighbors local does not implement SplitType TFRecord.")
    for container in containers:
        if container.get("Mode") == "MultiModel":
            raise invalid("Batch transform does not take a model in MultiModel mode.")
        if container.get("ModelDataSource"):
            raise invalid("Batch transform does not take a model with a ModelDataSource.")
    check_present(plane, source["S3Uri"], role)
    check_output(plane, request["TransformOutput"]["S3OutputPath"], "S3OutputPath")
    _check_sizes(request)
    _check_processing(request)


def _check_sizes(request: Request) -> None:
    payload, at_once = request.get("MaxPayloadInMB", 6), request.get("MaxConcurrentTransforms", 1)
    if payload * at_once > _MOST_MB:
        raise invalid(
            "MaxConcurrentTransforms * MaxPayloadInMB must not exceed "
            f"{_MOST_MB} MB, got {at_once} * {payload}."
        )


def _check_processing(request: Request) -> None:
    given = request.get("DataProcessing")
    if not given:
        return
    for member in ("InputFilter", "OutputFilter"):
        JsonPath(given.get(member, "$"))
    content_type = request["TransformInput"].get("ContentType", "").partition(";")[0].strip()
    if content_type not in _FILTERED:
        raise invalid(
            f"DataProcessing needs a ContentType of {', '.join(_FILTERED)}; got {content_type!r}."
        )
