"""InvokeEndpoint and InvokeEndpointWithResponseStream; InvokeEndpointAsync is handed on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from kneighbors.local import eventstream
from kneighbors.local.async_invocation import invoke_async
from kneighbors.local.call import InvokeReply, InvokeRequest
from kneighbors.local.faults import Fault
from kneighbors.local.operations import check, service
from kneighbors.local.routing import (
    acquire,
    fleet_of,
    headers_for_client,
    message,
    refuse_target_model,
)
from kneighbors.local.runtime_faults import refused
from kneighbors.local.served import AnswerTimedOut, NoAnswer, Served, pieces
from kneighbors.local.serverless import PAYLOAD_BYTES as SERVERLESS_PAYLOAD_BYTES

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from kneighbors.local.fleet import Fleet
    from kneighbors.local.instance import Instance
    from kneighbors.local.plane import Plane
    from kneighbors.local.variant import Variant

#: Most bytes of a request and of an answer.
PAYLOAD_BYTES = 6_291_456
_ASYNC_PAYLOAD_BYTES = 128_000

_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}

#: Members of a call that ask for what is not here.
_NOT_IMPLEMENTED = ("InferenceComponentName", "EnableExplanations")


def invoke(plane: Plane, request: InvokeRequest) -> InvokeReply:
    """Answer a call of an endpoint.

    Raises
    ------
    Fault
        ``ValidationError``, ``ModelError``, ``ThrottlingException``, ``ModelNotReadyException`` or
        ``ServiceUnavailable``.
    """
    members = _members(request)
    if request.action == "async-invocations":
        return invoke_async(plane, request.endpoint, members, request.body)
    fleet = fleet_of(plane, request.endpoint)
    _refuse(fleet, request, members)
    variant, instance = acquire(plane, request.endpoint, members.get("TargetVariant"))
    if request.action == "invocations":
        return _whole(plane, variant, instance, members, request.body)
    return _streamed(plane, variant, instance, members, request.body)


def _whole(
    plane: Plane, variant: Variant, instance: Instance, members: Mapping[str, Any], body: bytes
) -> InvokeReply:
    limit = SERVERLESS_PAYLOAD_BYTES if variant.plan.serverless else PAYLOAD_BYTES
    try:
        timeout_s = plane.hosting.settings.invocation_timeout_s
        answer = instance.send(message(members, body), timeout_s, limit)
    finally:
        variant.release(instance)
    return InvokeReply(200, headers_for_client(answer.headers, variant), answer.body)


def _streamed(
    plane: Plane, variant: Variant, instance: Instance, members: Mapping[str, Any], body: bytes
) -> InvokeReply:
    settings = plane.hosting.settings
    deadline = time.monotonic() + settings.stream_timeout_s
    try:
        served, response = instance.open(message(members, body), settings.invocation_timeout_s)
    except BaseException:
        variant.release(instance)
        raise
    named = {name.lower(): value for name, value in response.headers.items()}
    headers = headers_for_client(named, variant)
    headers["X-Amzn-SageMaker-Content-Type"] = headers.get("Content-Type", "")
    headers["Content-Type"] = eventstream.MEDIA_TYPE
    return InvokeReply(200, headers, _Stream(variant, instance, served, response, deadline))


class _Stream:
    """The messages of an answer that is sent as it comes; to be closed, even if never read."""

    def __init__(
        self,
        variant: Variant,
        instance: Instance,
        served: Served,
        response: BaseHTTPResponse,
        deadline: float,
    ) -> None:
        self._variant: Variant | None = variant
        self._instance = instance
        self._response = response
        self._messages = _messages(served.label, response, deadline)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._messages)

    def close(self) -> None:
        """End the answer, whether or not all of it was read."""
        variant, self._variant = self._variant, None
        if variant is not None:
            self._response.close()
            variant.release(self._instance)


def _messages(label: str, response: BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
    try:
        for piece in pieces(response, deadline):
            yield eventstream.payload_part(piece)
    except AnswerTimedOut:
        yield eventstream.failure(
            "ModelStreamError",
            f"Your model {label} did not complete sending the inference response in the allotted "
            "time.",
            ErrorCode="ModelInvocationTimeExceeded",
        )
    except NoAnswer:
        yield eventstream.failure(
            "ModelStreamError",
            f"The connection to your model {label} was closed before the response was complete.",
            ErrorCode="StreamBroken",
        )


def _refuse(fleet: Fleet, request: InvokeRequest, members: Mapping[str, Any]) -> None:
    """Refuse what an endpoint of this kind does not do."""
    name = request.endpoint
    if fleet.plan.asynchronous is not None:
        raise refused(
            f"Endpoint {name} is an asynchronous endpoint. Call it with InvokeEndpointAsync."
        )
    for member in _NOT_IMPLEMENTED:
        if members.get(member):
            raise refused(f"kneighbors local does not implement {member}.")
    refuse_target_model(fleet, name, members)
    if any(plan.serverless for plan in fleet.plan.variants):
        if request.action != "invocations":
            raise refused(f"Endpoint {name} is serverless and does not support streaming.")
        _refuse_longer(request.body, SERVERLESS_PAYLOAD_BYTES)


def _members(request: InvokeRequest) -> dict[str, Any]:
    """Return the members of a call that travel in headers, checked.

    Raises
    ------
    Fault
        ``ValidationError``.
    """
    members: dict[str, Any] = {"EndpointName": request.endpoint}
    for name, header, is_number in _headers(request.action):
        text = request.headers.get(header)
        if text is not None:
            members[name] = int(text) if is_number and text.isascii() and text.isdigit() else text
    try:
        model = service("sagemaker-runtime").operation_model(_OPERATIONS[request.action])
        check(model, {"Body": request.body, **members})
    except Fault as fault:
        raise refused(fault.message) from None
    is_async = request.action == "async-invocations"
    _refuse_longer(request.body, _ASYNC_PAYLOAD_BYTES if is_async else PAYLOAD_BYTES)
    return members


@cache
def _headers(action: str) -> list[tuple[str, str, bool]]:
    """Return the members of an operation that travel in headers: name, header, whether a number."""
    shape = service("sagemaker-runtime").operation_model(_OPERATIONS[action]).input_shape
    return [
        (name, member.serialization["name"].lower(), member.type_name == "integer")
        for name, member in shape.members.items()
        if member.serialization.get("location") == "header"
    ]


def _refuse_longer(body: bytes, limit: int) -> None:
    if len(body) > limit:
        raise refused(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member "
            f"must have length less than or equal to {limit}"
        )
