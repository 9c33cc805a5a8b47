"""The operations on training jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kneighbors.local.channels import check_channels
from kneighbors.local.faults import in_use, invalid
from kneighbors.local.job_checks import check_image, check_output
from kneighbors.local.job_failures import INTERRUPTED
from kneighbors.local.job_files import CHECKPOINTS, is_below_base
from kneighbors.local.kinds import ENDED, TRAINING_JOBS
from kneighbors.local.metrics import check_metrics
from kneighbors.local.operations import Request, operation
from kneighbors.local.progress import KIND, Progress, entered
from kneighbors.local.running import recovery
from kneighbors.local.training_run import run_training_job

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

_MAX_RUNTIME_S = 86_400


@operation("CreateTrainingJob")
def create_training_job(plane: Plane, request: Request) -> dict[str, Any]:
    """Check a job, write its record and start it."""
    name = request["TrainingJobName"]
    _check(plane, request)
    now = time.time()
    document = {key: value for key, value in request.items() if key != "Tags"}
    document["StoppingCondition"] = {
        "MaxRuntimeInSeconds": _MAX_RUNTIME_S,
        **request.get("StoppingCondition", {}),
    }
    document |= {"TrainingJobStatus": "InProgress", "CreationTime": now}
    document["SecondaryStatusTransitions"] = []
    answer = TRAINING_JOBS.create(plane, request, entered(document, "Starting", now))
    plane.running.start(KIND, name, lambda task: run_training_job(plane, name, task))
    return answer


operation("DescribeTrainingJob")(TRAINING_JOBS.describe)
operation("ListTrainingJobs")(TRAINING_JOBS.list)


@operation("StopTrainingJob")
def stop_training_job(plane: Plane, request: Request) -> None:
    """Ask a job to end; it has 120 seconds for that."""
    TRAINING_JOBS.stop(
        plane, request["TrainingJobName"], lambda job: entered(job, "Stopping", time.time())
    )


@operation("DeleteTrainingJob")
def delete_training_job(plane: Plane, request: Request) -> None:
    """Forget a job that has ended; what it wrote to S3 stays."""
    name = request["TrainingJobName"]
    job = TRAINING_JOBS.found(plane, name)
    if job["TrainingJobStatus"] not in ENDED:
        raise in_use(
            f"The training job {name} is in status {job['TrainingJobStatus']}; only a job that has "
            "ended can be deleted."
        )
    TRAINING_JOBS.delete(plane, request)


@recovery
def fail_interrupted_jobs(plane: Plane) -> None:
    """Note the end of jobs that an earlier plane had running when it was killed."""
    for name, job in plane.records.all(KIND):
        if job["TrainingJobStatus"] not in ENDED:
            Progress(plane, name).end("Failed", "Failed", INTERRUPTED)


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
