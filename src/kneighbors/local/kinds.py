"""What clients create, name and find again, and those of its operations that are alike for all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kneighbors.local.faults import Fault, exists, in_use, invalid, missing
from kneighbors.local.listing import page
from kneighbors.local.operations import Request
from kneighbors.local.tags import forget_tags, tag

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

Document = dict[str, Any]
#: The statuses of a job that has ended.
ENDED = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of such things.

    Parameters
    ----------
    record : str
        What records call it, and what the resource of its ARNs begins with.
    noun : str
        As members are named: ``Model`` of ``ModelName`` and ``ModelArn``.
    called : str
        As messages call it.
    listed : str
        The member that a List operation answers with.
    summary : tuple of str, default=()
        Members that it shows there beside name, ARN and time of creation.
    status : str, default=""
        The member that has its status.
    order : {"Descending", "Ascending"}
        In which a List operation sorts unless it is told to.
    """

    record: str
    noun: str
    called: str
    listed: str
    summary: tuple[str, ...] = ()
    status: str = ""
    order: str = "Descending"

    def arn(self, plane: Plane, name: str) -> str:
        """Return the ARN of a name."""
        return plane.arn(f"{self.record}/{name}")

    def absent(self, plane: Plane, name: str) -> Fault:
        """Return the refusal of a name that nothing has."""
        return missing(self.called, self.arn(plane, name))

    def taken(self, arn: str) -> Fault:
        """Return the refusal of a name that something has."""
        return exists(self.called, arn)

    def found(self, plane: Plane, name: str) -> Document:
        """Return a record.

        Raises
        ------
        Fault
            If there is none.
        """
        document = plane.records.get(self.record, name)
        if document is None:
            raise self.absent(plane, name)
        return document

    def create(self, plane: Plane, request: Request, document: Document) -> dict[str, str]:
        """Write what a request creates and its tags, and return the answer, its ARN.

        Raises
        ------
        Fault
            If the name is taken, or the tags cannot be; nothing is written.
        """
        name = request[f"{self.noun}Name"]
        arn = self.arn(plane, name)
        answer = {f"{self.noun}Arn": arn}
        if plane.records.get(self.record, name) is not None:
            raise self.taken(arn)
        if request.get("Tags"):
            tag(plane, arn, request["Tags"])
        document = {"CreationTime": time.time(), **document, **answer}
        if not plane.records.create(self.record, name, document):
            raise self.taken(arn)
        return answer

    def describe(self, plane: Plane, request: Request) -> Document:
        """Return what clients see of a record."""
        document = self.found(plane, request[f"{self.noun}Name"])
        return {name: value for name, value in document.items() if not name.startswith("_")}

    def list(self, plane: Plane, request: Request) -> Document:
        """Return the page of records that a request asks for."""
        request = {"SortOrder": self.order, **request}
        found, token = page(plane.records.all(self.record), request, self.status)
        members = (f"{self.noun}Name", f"{self.noun}Arn", "CreationTime", *self.summary)
        shown = [{name: one[name] for name in members if name in one} for one in found]
        return {self.listed: shown, "NextToken": token}

    def delete(self, plane: Plane, request: Request) -> None:
        """Forget a record and its tags; what was made with it goes on."""
        name = request[f"{self.noun}Name"]
        if not plane.records.delete(self.record, name):
            raise self.absent(plane, name)
        forget_tags(plane, self.arn(plane, name))


@dataclass(frozen=True, slots=True)
class JobKind(Kind):
    """A kind of things that run to an end, with refusals that AWS words for each.

    Parameters
    ----------
    no_such, doubled : str
        Messages of a name that no job has, and that one has; with ``{name}`` and ``{arn}``.
    """

    no_such: str = ""
    doubled: str = ""

    def absent(self, plane: Plane, name: str) -> Fault:
        """Return the refusal of a name that no job has."""
        return invalid(self.no_such.format(name=name))

    def taken(self, arn: str) -> Fault:
        """Return the refusal of a name that a job has."""
        return in_use(self.doubled.format(arn=arn))

    def stop(
        self, plane: Plane, name: str, noted: Callable[[Document], Document] = lambda job: job
    ) -> None:
        """Ask a job to end.

        Parameters
        ----------
        plane : Plane
        name : str
        noted : callable, optional
            What else is changed in its record.

        Raises
        ------
        Fault
            If there is none, or it has ended.
        """
        before = self.found(plane, name)[self.status]

        def change(job: Document) -> Document | None:
            nonlocal before
            before = job[self.status]
            if before != "InProgress":
                return None
            return noted({**job, self.status: "Stopping", "LastModifiedTime": time.time()})

        plane.records.update(self.record, name, change)
        if before in ENDED:
            raise invalid(
                f"The request was rejected because the {self.called} is in status {before}."
            )
        if task := plane.running.get(self.record, name):
            task.stop.set()


MODELS = Kind("model", "Model", "model", "Models")
ENDPOINT_CONFIGS = Kind(
    "endpoint-config", "EndpointConfig", "endpoint configuration", "EndpointConfigs"
)
ENDPOINTS = Kind(
    *("endpoint", "Endpoint", "endpoint", "Endpoints"),
    summary=("LastModifiedTime", "EndpointStatus"),
    status="EndpointStatus",
)
TRAINING_JOBS = JobKind(
    *("training-job", "TrainingJob", "training job", "TrainingJobSummaries"),
    summary=("TrainingEndTime", "LastModifiedTime", "TrainingJobStatus", "SecondaryStatus"),
    status="TrainingJobStatus",
    order="Ascending",
    no_such="Requested resource not found.",
    doubled="Training job names must be unique within an AWS account and region, and a training "
    "job with this name already exists ({arn})",
)
TRANSFORM_JOBS = JobKind(
    *("transform-job", "TransformJob", "transform job", "TransformJobSummaries"),
    summary=("TransformEndTime", "LastModifiedTime", "TransformJobStatus", "FailureReason"),
    status="TransformJobStatus",
    no_such="Could not find requested job with name: {name}",
    doubled="Job name must be unique within an AWS account and region, and a job with this name "
    "already exists ({arn})",
)
