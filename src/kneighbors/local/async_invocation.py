"""InvokeEndpointAsync: a call is noted and answered at once; its result comes to S3."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kneighbors.local.call import InvokeReply
from kneighbors.local.faults import Fault
from kneighbors.local.objects import split_s3
from kneighbors.local.routing import fleet_of
from kneighbors.local.runtime_faults import refused

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

#: Defaults of AWS, in seconds.
_LIFETIME_S = 21_600
_TIMEOUT_S = 900


def invoke_async(
    plane: Plane, endpoint: str, members: Mapping[str, Any], body: bytes
) -> InvokeReply:
    """Take a call on; it is on the disk when this returns.

    Raises
    ------
    Fault
        ``ValidationError`` if the endpoint is not asynchronous, or the call has no input or two.
    """
    config = fleet_of(plane, endpoint).plan.asynchronous
    if config is None:
        raise refused(
            f"Endpoint {endpoint} has no AsyncInferenceConfig and does not support "
            "InvokeEndpointAsync."
        )
    location = members.get("InputLocation")
    if (location is None) == (not body):
        raise refused("Expected one of InputLocation and Body.")
    if location is not None:
        _refuse_address(location)
    inference_id = members.get("InferenceId") or str(uuid.uuid4())
    output, failure = _places(config["OutputConfig"], members, inference_id)
    plane.hosting.calls.submit(
        {
            "endpoint": endpoint,
            "inference_id": inference_id,
            "members": {**members, "InferenceId": inference_id},
            "body": base64.b64encode(body).decode() if location is None else None,
            "output": output,
            "failure": failure,
            "expires": time.time() + members.get("RequestTTLSeconds", _LIFETIME_S),
            "timeout_s": members.get("InvocationTimeoutSeconds", _TIMEOUT_S),
        }
    )
    headers = {"Content-Type": "application/json", "X-Amzn-SageMaker-OutputLocation": output}
    if failure is not None:
        headers["X-Amzn-SageMaker-FailureLocation"] = failure
    return InvokeReply(202, headers, json.dumps({"InferenceId": inference_id}).encode())


def _places(
    config: Mapping[str, Any], members: Mapping[str, Any], inference_id: str
) -> tuple[str, str | None]:
    extension = members.get("S3OutputPathExtension", "")
    file = members.get("Filename") or f"{inference_id}.out"
    output = _joined(config["S3OutputPath"], extension, file)
    if "S3FailurePath" not in config:
        return output, None
    return output, _joined(config["S3FailurePath"], extension, f"{inference_id}-error.out")


def _joined(base: str, *parts: str) -> str:
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts if part.strip("/"))])


def _refuse_address(location: str) -> None:
    try:
        split_s3(location)
    except Fault as fault:
        raise refused(fault.message) from None
