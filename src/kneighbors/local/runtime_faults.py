"""Errors of SageMaker's runtime in AWS's words, with codes that differ from the API's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kneighbors.local.faults import Fault

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

#: Longest part of a container's answer that an error carries.
_LONGEST_MESSAGE = 8192

_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {container}. Review "
    "the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


def refused(message: str) -> Fault:
    """Return the error of a call that breaks a rule."""
    return Fault("ValidationError", message)


def not_found(plane: Plane, endpoint: str) -> Fault:
    """Return the error of an endpoint that is not there, or cannot be called yet."""
    return refused(f"Endpoint {endpoint} of account {plane.account} not found.")


def unavailable(message: str) -> Fault:
    """Return the error of an endpoint that cannot answer now, but soon; SDKs try again."""
    return Fault("ServiceUnavailable", message, 503)


def throttled() -> Fault:
    """Return the error of more calls at once than a serverless endpoint takes."""
    return Fault("ThrottlingException", "Rate exceeded", 400)


def not_ready(message: str) -> Fault:
    """Return the error of a model that is still being loaded."""
    return Fault("ModelNotReadyException", message, 429)


def log_group(endpoint: str) -> str:
    """Return the name of an endpoint's log group.

    Examples
    --------
    >>> log_group("wines")
    '/aws/sagemaker/Endpoints/wines'
    """
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def model_error(plane: Plane, endpoint: str, container: str, status: int, said: bytes) -> Fault:
    """Return the error of a container that answered with one.

    Parameters
    ----------
    plane : Plane
    endpoint, container : str
    status : int
        Of the container's answer; 0 if none came.
    said : bytes
        Body of its answer.
    """
    text = said[:_LONGEST_MESSAGE].decode("utf-8", "replace")
    side = "client" if 400 <= status < 500 else "server"
    return _model_error(
        plane,
        endpoint,
        f'Received {side} error ({status}) from {container} with message "{text}".',
        status,
        text,
    )


def timed_out(plane: Plane, endpoint: str, container: str) -> Fault:
    """Return the error of a container that did not answer in time."""
    said = _TIMED_OUT.format(container=container)
    return model_error(plane, endpoint, container, 0, said.encode())


def too_long(plane: Plane, endpoint: str, container: str, status: int, limit: int) -> Fault:
    """Return the error of an answer that is longer than an endpoint may give."""
    return _model_error(
        plane,
        endpoint,
        f"Received server error ({status}) from {container} and could not load the entire "
        f"response body: it has more than {limit} bytes.",
        status,
        f"The response has more than {limit} bytes.",
    )


def _model_error(plane: Plane, endpoint: str, message: str, status: int, text: str) -> Fault:
    group = log_group(endpoint)
    console = f"https://{plane.region}.console.aws.amazon.com/cloudwatch/home?region={plane.region}"
    return Fault(
        "ModelError",
        f"{message} See {console}#logEventViewer:group={group} in account {plane.account} "
        "for more information.",
        424,
        {
            "OriginalStatusCode": status,
            "OriginalMessage": text,
            "LogStreamArn": plane.arn(f"log-group:{group}", "logs"),
        },
    )
