"""An endpoint as SageMaker describes it, now or when it changes no more."""

from __future__ import annotations

from typing import Any

from kneighbors.sagemaker.aws import Aws, AwsRefusal
from kneighbors.sagemaker.waiting import wait as await_status
from kneighbors.search.progress import Progress, ignore

#: Statuses in which an endpoint can be neither changed nor removed.
UNSETTLED = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def describe(aws: Aws, name: str) -> dict[str, Any] | None:
    """Return the description of an endpoint, None if there is none."""
    try:
        return aws.call("sagemaker", "DescribeEndpoint", EndpointName=name)
    except AwsRefusal as error:
        if error.aws_code == "ValidationException" and "not find" in error.message:
            return None
        raise


def wait_for(aws: Aws, name: str, timeout_s: float, progress: Progress = ignore) -> dict[str, Any]:
    """Wait until an endpoint changes no more, and return its description; {} when it is gone.

    Raises
    ------
    ServiceError
        With code ``wait-timeout``.
    """
    return await_status(
        lambda: describe(aws, name) or {},
        lambda found: str(found.get("EndpointStatus", "Gone")),
        lambda status: status not in UNSETTLED,
        timeout_s=timeout_s,
        what=f"the endpoint {name}",
        progress=progress,
    )
