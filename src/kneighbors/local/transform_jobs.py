"""The operations on batch transform jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kneighbors.local.channels import check_present
from kneighbors.local.faults import in_use, invalid, missing
from kneighbors.local.job_checks import check_output
from kneighbors.local.job_failures import INTERRUPTED, short
from kneighbors.local.json_paths import JsonPath
from kneighbors.local.listing import page
from kneighbors.local.operations import Request, operation
from kneighbors.local.running import recovery
from kneighbors.local.tags import tag
from kneighbors.local.transform_run import KIND, run_transform_job

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

ENDED = frozenset({"Completed", "Failed", "Stopped"})
_MOST_MB = 100
_FILTERED = ("text/csv", "application/json", "application/jsonlines", "application/jsonl")
_SUMMARY = (
    *("TransformJobName", "TransformJobArn", "CreationTime", "TransformEndTime"),
    *("LastModifiedTime", "TransformJobStatus", "FailureReason"),
)


@operation("CreateTransformJob")
def create_transform_job(plane: Plane, request: Request) -> dict[str, Any]:
    """Check a job, write its record and start it."""
    name = request["TransformJobName"]
    arn = plane.arn(f"transform-job/{name}")
    model = plane.records.get("model", request["ModelName"])
    if model is None:
        raise missing("model", plane.arn(f"model/{request['ModelName']}"))
    containers = model.get("Containers") or [model["PrimaryContainer"]]
    _check(plane, request, containers, model["ExecutionRoleArn"])
    now = time.time()
    document = {key: value for key, value in request.items() if key != "Tags"}
    document |= {
        "TransformJobArn": arn,
        "TransformJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
        "_containers": containers,  # as they are now: the model may be deleted meanwhile
    }
    if not plane.records.create(KIND, name, document):
        raise in_use(
            "Job name must be unique within an AWS account and region, and a job with this name "
            f"already exists ({arn})"
        )
    if tags := request.get("Tags"):
        tag(plane, arn, tags)
    plane.running.start(KIND, name, lambda task: run_transform_job(plane, name, task))
    return {"TransformJobArn": arn}


@operation("DescribeTransformJob")
def describe_transform_job(plane: Plane, request: Request) -> dict[str, Any]:
    """Return what is known of a job."""
    job = _job(plane, request["TransformJobName"])
    return {name: value for name, value in job.items() if not name.startswith("_")}


@operation("ListTransformJobs")
def list_transform_jobs(plane: Plane, request: Request) -> dict[str, Any]:
    """Return jobs that pass filters, a page at a time."""
    found, token = page(plane.records.all(KIND), request, "TransformJobStatus")
    summaries = [{name: job[name] for name in _SUMMARY if name in job} for job in found]
    return {"TransformJobSummaries": summaries, "NextToken": token}


@operation("StopTransformJob")
def stop_transform_job(plane: Plane, request: Request) -> None:
    """Ask a job to end; files that it has not begun have no output."""
    name = request["TransformJobName"]
    before = _job(plane, name)["TransformJobStatus"]
    if before in ENDED:
        raise invalid(f"The request was rejected because the transform job is in status {before}.")

    def change(job: dict[str, Any]) -> dict[str, Any] | None:
        if job["TransformJobStatus"] != "InProgress":
            return None
        return {**job, "TransformJobStatus": "Stopping", "LastModifiedTime": time.time()}

    plane.records.update(KIND, name, change)
    if task := plane.running.get(KIND, name):
        task.stop.set()


@recovery
def fail_interrupted_jobs(plane: Plane) -> None:
    """Note the end of jobs that an earlier plane had running when it was killed."""
    for name, job in plane.records.all(KIND):
        if job["TransformJobStatus"] not in ENDED:
            facts = {"TransformJobStatus": "Failed", "FailureReason": short(INTERRUPTED)}
            plane.records.update(KIND, name, {**facts, "TransformEndTime": time.time()})


def _job(plane: Plane, name: str) -> dict[str, Any]:
    job = plane.records.get(KIND, name)
    if job is None:
        raise invalid(f"Could not find requested job with name: {name}")
    return job


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
