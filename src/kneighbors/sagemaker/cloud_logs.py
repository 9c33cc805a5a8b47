"""The last lines that containers wrote, from CloudWatch, and a failure that carries them."""

from __future__ import annotations

import re
from contextlib import suppress

from kneighbors.errors import KNeighborsError, ServiceError
from kneighbors.sagemaker.aws import Aws

ENDPOINTS = "/aws/sagemaker/Endpoints"
TRANSFORM_JOBS = "/aws/sagemaker/TransformJobs"
_STREAMS = 4
#: Health checks come every second, and would leave no room for what went wrong.
_HEALTH_CHECK = re.compile(r"\bGET\b.*/ping\b")


class ContainersFailed(ServiceError):
    """An endpoint never became healthy, or a job did not complete.

    Parameters
    ----------
    code, message, where, hint
    log_lines : tuple of str
        The last lines that its containers wrote.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        log_lines: tuple[str, ...] = (),
    ) -> None:
        super().__init__(code, message, where=where, hint=hint)
        self.log_lines = log_lines


def tail(aws: Aws, group: str, prefix: str = "", n_lines: int = 100) -> tuple[str, ...]:
    """Return the last lines of a log group, oldest first; none where they cannot be read.

    Lines about health checks are left out.

    Parameters
    ----------
    aws : Aws
    group : str
        Such as ``"/aws/sagemaker/Endpoints/wines"``.
    prefix : str, default=""
        What the names of the streams begin with.
    n_lines : int, default=100
    """
    # What is wrong has a name already; that its logs cannot be read is no reason to hide it.
    with suppress(KNeighborsError):
        return _tail(aws, group, prefix, n_lines)
    return ()


def _tail(aws: Aws, group: str, prefix: str, n_lines: int) -> tuple[str, ...]:
    wanted = {"logStreamNamePrefix": prefix} if prefix else {}
    found = aws.call("logs", "DescribeLogStreams", logGroupName=group, **wanted)
    streams = sorted(
        found.get("logStreams", []), key=lambda stream: stream.get("lastEventTimestamp", 0)
    )
    events = []
    for stream in streams[-_STREAMS:]:
        page = aws.call(
            "logs",
            "GetLogEvents",
            logGroupName=group,
            logStreamName=stream["logStreamName"],
            startFromHead=False,
        )
        events += [
            event for event in page.get("events", []) if not _HEALTH_CHECK.search(event["message"])
        ]
    events.sort(key=lambda event: int(event["timestamp"]))
    return tuple(str(event["message"]).rstrip() for event in events[-n_lines:])
