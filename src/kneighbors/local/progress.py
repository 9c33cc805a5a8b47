"""How far a job is, in its record: statuses, the times between them, and the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kneighbors.local.job_failures import short
from kneighbors.local.kinds import ENDED, TRAINING_JOBS

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

KIND = TRAINING_JOBS.record

_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def entered(
    job: dict[str, Any], secondary: str, now: float, message: str | None = None
) -> dict[str, Any]:
    """Note in a record that a secondary status begins."""
    transitions = job["SecondaryStatusTransitions"]
    if transitions:
        transitions[-1].setdefault("EndTime", now)
    transitions.append(
        {"Status": secondary, "StartTime": now, "StatusMessage": message or _MESSAGES[secondary]}
    )
    job["SecondaryStatus"] = secondary
    job["LastModifiedTime"] = now
    return job


class Progress:
    """The record of one training job, while it runs.

    Parameters
    ----------
    plane : Plane
    name : str
    """

    def __init__(self, plane: Plane, name: str) -> None:
        self._records = plane.records
        self._name = name

    def enter(self, secondary: str) -> None:
        """Begin a secondary status, unless a client's stop has begun one already."""

        def change(job: dict[str, Any]) -> dict[str, Any]:
            now = time.time()
            if secondary == "Downloading":
                job["TrainingStartTime"] = now
            if job["TrainingJobStatus"] == "Stopping" and secondary != "Uploading":
                return job
            return entered(job, secondary, now)

        self._records.update(KIND, self._name, change)

    def set(self, **members: Any) -> None:
        """Set members of the record."""
        self._records.update(KIND, self._name, {**members, "LastModifiedTime": time.time()})

    def end(self, status: str, secondary: str, reason: str | None = None) -> None:
        """Note the end: status, secondary status, and why it failed if it did."""

        def change(job: dict[str, Any]) -> dict[str, Any] | None:
            if job["TrainingJobStatus"] in ENDED:
                return None
            now = time.time()
            job["TrainingJobStatus"] = status
            if reason is not None:
                job["FailureReason"] = short(reason)
            entered(job, secondary, now, None if reason is None else short(reason))
            job["SecondaryStatusTransitions"][-1]["EndTime"] = now
            job["TrainingEndTime"] = now
            seconds = round(now - job.get("TrainingStartTime", now))
            job["TrainingTimeInSeconds"] = job["BillableTimeInSeconds"] = max(seconds, 1)
            return job

        self._records.update(KIND, self._name, change)
