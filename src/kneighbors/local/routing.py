"""From a call to the instance that answers it, and which headers go along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kneighbors.local.instance import Instance, Message
from kneighbors.local.runtime_faults import not_found, refused, unavailable
from kneighbors.local.variant import Closed, Variant

if TYPE_CHECKING:
    from kneighbors.local.fleet import Fleet
    from kneighbors.local.plane import Plane

#: Members of a call that a container gets, by the header that it gets them in.
_TO_CONTAINER = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "SessionId": "X-Amzn-SageMaker-Session-Id",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
}

#: Headers of a container's answer that its client gets, by their names in lower case.
_TO_CLIENT = {
    "content-type": "Content-Type",
    "x-amzn-sagemaker-custom-attributes": "X-Amzn-SageMaker-Custom-Attributes",
    "x-amzn-sagemaker-new-session-id": "X-Amzn-SageMaker-New-Session-Id",
    "x-amzn-sagemaker-closed-session-id": "X-Amzn-SageMaker-Closed-Session-Id",
}


def fleet_of(plane: Plane, endpoint: str) -> Fleet:
    """Return what serves an endpoint.

    Raises
    ------
    Fault
        ``ValidationError`` as of an endpoint that is not there, which AWS also says of one that
        is not in service; ``ServiceUnavailable`` for one that comes back after a restart.
    """
    fleet = plane.hosting.fleet(endpoint)
    if fleet is not None:
        return fleet
    record = plane.records.get("endpoint", endpoint)
    if record is not None and record["EndpointStatus"] == "Creating" and record.get("_serving"):
        raise unavailable(f"Endpoint {endpoint} is being started again with the control plane.")
    raise not_found(plane, endpoint)


def acquire(plane: Plane, endpoint: str, variant_name: str | None) -> tuple[Variant, Instance]:
    """Return a variant and one of its instances, to be released to it after the call."""
    while True:
        variant = fleet_of(plane, endpoint).choose(variant_name)
        try:
            return variant, variant.acquire()
        except Closed:
            # Replaced since it was looked up; the next look finds what replaced it.
            if plane.hosting.fleet(endpoint) is None:
                raise not_found(plane, endpoint) from None


def message(members: Mapping[str, Any], body: bytes) -> Message:
    """Return what a container gets of a call."""
    headers = {header: members[name] for name, header in _TO_CONTAINER.items() if members.get(name)}
    return Message(
        headers, body, members.get("TargetModel"), members.get("TargetContainerHostname")
    )


def headers_for_client(headers: Mapping[str, str], variant: Variant) -> dict[str, str]:
    """Return what a client gets of a container's headers, with who answered."""
    passed = {_TO_CLIENT[name]: value for name, value in headers.items() if name in _TO_CLIENT}
    return passed | {"x-Amzn-Invoked-Production-Variant": variant.plan.name}


def refuse_target_model(fleet: Fleet, endpoint: str, members: Mapping[str, Any]) -> None:
    """Refuse a target model where there is only one."""
    modes = {one.get("Mode") for plan in fleet.plan.variants for one in plan.containers}
    if members.get("TargetModel") and "MultiModel" not in modes:
        raise refused(
            f"Endpoint {endpoint} is not a multi-model endpoint and does not support target model "
            "header."
        )
