"""The last lines that containers wrote, from CloudWatch."""

from __future__ import annotations

from contextlib import suppress

from kneighbors.errors import KNeighborsError
from kneighbors.sagemaker.aws import Aws

ENDPOINTS = "/aws/sagemaker/Endpoints"
TRANSFORM_JOBS = "/aws/sagemaker/TransformJobs"
_STREAMS = 4


def tail(aws: Aws, group: str, prefix: str = "", n_lines: int = 20) -> list[str]:
    """Return the last lines of a log group, oldest first; none where they cannot be read.

    Parameters
    ----------
    aws : Aws
    group : str
        Such as ``"/aws/sagemaker/Endpoints/wines"``.
    prefix : str, default=""
        What the names of the streams begin with.
    n_lines : int, default=20
    """
    # What is wrong has a name already; that its logs cannot be read is no reason to hide it.
    with suppress(KNeighborsError):
        return _tail(aws, group, prefix, n_lines)
    return []


def _tail(aws: Aws, group: str, prefix: str, n_lines: int) -> list[str]:
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
            limit=n_lines,
            startFromHead=False,
        )
        events += page.get("events", [])
    events.sort(key=lambda event: int(event["timestamp"]))
    return [str(event["message"]).rstrip() for event in events[-n_lines:]]
