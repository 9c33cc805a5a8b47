"""The operations on training jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kneighbors.local.channels import check_channels
from kneighbors.local.faults import in_use, invalid
from kneighbors.local.job_checks import check_image, check_output
from kneighbors.local.job_failures import INTERRUPTED
from kneighbors.local.job_files import CHECKPOINTS, is_below_base
from kneighbors.local.listing import page
from kneighbors.local.metrics import check_metrics
from kneighbors.local.operations import Request, operation
from kneighbors.local.progress import ENDED, KIND, Progress, transition
from kneighbors.local.running import recovery
from kneighbors.local.tags import forget_tags, tag
from kneighbors.local.training_run import run_training_job

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

_MAX_RUNTIME_S = 86_400
_NOT_FOUND = "Requested resource not found."
#: Of a request, what a record does not keep.
_NOT_KEPT = ("Tags",)
_SUMMARY = (
    *("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime"),
    *("TrainingJobStatus", "SecondaryStatus"),
)


@operation("CreateTrainingJob")
def create_training_job(plane: Plane, request: Request) -> dict[str, Any]:
    """Check a job, write its record and start it."""
    name = request["TrainingJobName"]
    arn = plane.arn(f"training-job/{name}")
    _check(plane, request)
    now = time.time()
    document = {key: value for key, value in request.items() if key not in _NOT_KEPT}
    document["StoppingCondition"] = {
        "MaxRuntimeInSeconds": _MAX_RUNTIME_S,
        **request.get("StoppingCondition", {}),
    }
    document |= {
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "CreationTime": now,
        "LastModifiedTime": now,
        "SecondaryStatusTransitions": [transition("Starting", now)],
    }
    if not plane.records.create(KIND, name, document):
        raise in_use(
            "Training job names must be unique within an AWS account and region, and a training "
            f"job with this name already exists ({arn})"
        )
    if tags := request.get("Tags"):
        tag(plane, arn, tags)
    plane.running.start(KIND, name, lambda task: run_training_job(plane, name, task))
    return {"TrainingJobArn": arn}


@operation("DescribeTrainingJob")
def describe_training_job(plane: Plane, request: Request) -> dict[str, Any]:
    """Return what is known of a job."""
    job = _job(plane, request["TrainingJobName"])
    return {name: value for name, value in job.items() if not name.startswith("_")}


@operation("ListTrainingJobs")
def list_training_jobs(plane: Plane, request: Request) -> dict[str, Any]:
    """Return jobs that pass filters, a page at a time."""
    found, token = page(
        plane.records.all(KIND), {"SortOrder": "Ascending", **request}, "TrainingJobStatus"
    )
    summaries = [{name: job[name] for name in _SUMMARY if name in job} for job in found]
    return {"TrainingJobSummaries": summaries, "NextToken": token}


@operation("StopTrainingJob")
def stop_training_job(plane: Plane, request: Request) -> None:
    """Ask a job to end; it has 120 seconds for that."""
    name = request["TrainingJobName"]
    _job(plane, name)
    before = Progress(plane, name).ask_to_stop()
    if before in ENDED:
        raise invalid(f"The request was rejected because the training job is in status {before}.")
    if task := plane.running.get(KIND, name):
        task.stop.set()


@operation("DeleteTrainingJob")
def delete_training_job(plane: Plane, request: Request) -> None:
    """Forget a job that has ended; what it wrote to S3 stays."""
    name = request["TrainingJobName"]
    job = _job(plane, name)
    if job["TrainingJobStatus"] not in ENDED:
        raise in_use(
            f"The training job {name} is in status {job['TrainingJobStatus']}; only a job that has "
            "ended can be deleted."
        )
    plane.records.delete(KIND, name)
    forget_tags(plane, job["TrainingJobArn"])


@recovery
def fail_interrupted_jobs(plane: Plane) -> None:
    """Note the end of jobs that an earlier plane had running when it was killed."""
    for name, job in plane.records.all(KIND):
        if job["TrainingJobStatus"] not in ENDED:
            Progress(plane, name).end("Failed", "Failed", INTERRUPTED)


def _job(plane: Plane, name: str) -> dict[str, Any]:
    job = plane.records.get(KIND, name)
    if job is None:
        raise invalid(_NOT_FOUND)
    return job


def _check(plane: Plane, request: Request) -> None:
    """Refuse what is of the right shape and yet cannot be run."""
    algorithm = request["AlgorithmSpecification"]
    _check_image(plane, algorithm)
    check_metrics(algorithm.get("MetricDefinitions", []))
    check_channels(plane, request.get("InputDataConfig", []), request["RoleArn"])
    check_output(plane, request["OutputDataConfig"]["S3OutputPath"], "S3OutputPath")
    if checkpoints := request.get("CheckpointConfig"):
        check_output(plane, checkpoints["S3Uri"], "CheckpointConfig.S3Uri")
        path = checkpoints.get("LocalPath", CHECKPOINTS)
        if not is_below_base(path):
            raise invalid(
                f"kneighbors local keeps checkpoints below /opt/ml only, not in {path!r}."
            )
    _check_resources(request.get("ResourceConfig", {}))
    _check_times(request)


def _check_image(plane: Plane, algorithm: dict[str, Any]) -> None:
    if "TrainingImage" not in algorithm:
        raise invalid(
            "kneighbors local runs jobs whose AlgorithmSpecification has a TrainingImage, not an "
            "AlgorithmName."
        )
    check_image(plane, algorithm["TrainingImage"])


def _check_resources(resources: dict[str, Any]) -> None:
    if "InstanceGroups" in resources:
        if "InstanceType" in resources or "InstanceCount" in resources:
            raise invalid(
                "ResourceConfig has either InstanceGroups, or InstanceType and InstanceCount."
            )
    elif "InstanceType" not in resources or "InstanceCount" not in resources:
        raise invalid("ResourceConfig must have InstanceType and InstanceCount.")


def _check_times(request: Request) -> None:
    times = request.get("StoppingCondition", {})
    if not request.get("EnableManagedSpotTraining"):
        return
    wait, run = times.get("MaxWaitTimeInSeconds"), times.get("MaxRuntimeInSeconds", _MAX_RUNTIME_S)
    if wait is None or wait < run:
        raise invalid(
            "Managed spot training needs MaxWaitTimeInSeconds, no shorter than "
            f"MaxRuntimeInSeconds, which is {run}; got {wait}."
        )
