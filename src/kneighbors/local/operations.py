"""From the name of an operation of SageMaker's API to the function that carries it out.

Requests are checked against the service model that botocore brings, so that what AWS would refuse
for its shape is refused here, in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from kneighbors.local.faults import Fault, invalid

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel

    from kneighbors.local.plane import Plane

Request = dict[str, Any]
Operation = Callable[["Plane", Request], "dict[str, Any] | None"]

#: What is implemented; filled by `operation` when the modules of the operations are imported.
OPERATIONS: dict[str, Operation] = {}


def operation(name: str) -> Callable[[Operation], Operation]:
    """Register the function that carries out an operation.

    The function gets the plane and the checked request, and returns the response's members; times
    are `datetime` or seconds since the epoch, members that are None are left out.
    """

    def register(function: Operation) -> Operation:
        OPERATIONS[name] = function
        return function

    return register


def perform(plane: Plane, name: str, request: Request) -> dict[str, Any]:
    """Check a request, carry it out and return what the answer's JSON holds.

    Raises
    ------
    Fault
        ``UnknownOperationException`` where AWS has no such operation or this plane does not
        implement it; ``ValidationException`` where the request is not of the operation's shape.
    """
    model = service("sagemaker")
    if name not in model.operation_names:
        raise Fault("UnknownOperationException", f"Amazon SageMaker has no operation {name}.")
    if name not in OPERATIONS:
        known = ", ".join(sorted(OPERATIONS))
        raise Fault(
            "UnknownOperationException",
            f"kneighbors local does not implement {name}. It implements: {known}.",
        )
    check(model.operation_model(name), request)
    answer: dict[str, Any] = plain(OPERATIONS[name](plane, request) or {})
    return answer


@cache
def service(name: str) -> ServiceModel:
    """Return botocore's model of a service, ``sagemaker`` or ``sagemaker-runtime``."""
    import botocore.session

    return botocore.session.get_session().get_service_model(name)


def check(model: OperationModel, request: Mapping[str, Any]) -> None:
    """Refuse a request that is not of its operation's shape: types, lengths, patterns, choices."""
    from kneighbors.local.shapes import faults_of

    found = faults_of(model.input_shape, request)
    if found:
        count = "1 validation error" if len(found) == 1 else f"{len(found)} validation errors"
        raise invalid(f"{count} detected: {'; '.join(found)}")


def plain(value: Any) -> Any:
    """Return a response as JSON has it: times as seconds since the epoch, without None."""
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.timestamp()
    return value
