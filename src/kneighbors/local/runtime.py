"""What the SageMaker runtime is asked, and the functions that answer.

The server reads the request, whatever its framing, and finds the members that travel in headers by
botocore's service model; the functions see neither WSGI nor HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane


@dataclass(frozen=True, slots=True)
class Call:
    """A request to an endpoint.

    Parameters
    ----------
    endpoint : str
        Its name.
    members : mapping
        Members of the operation's input that the request has, but for the name and the body: such
        as ``ContentType``, ``Accept``, ``TargetModel``, ``InferenceId``; numbers are int.
    body : bytes
    """

    endpoint: str
    members: Mapping[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Parameters
    ----------
    body : bytes or iterable of bytes
        An iterable is sent in chunks, each at once; its ``close`` is called where it has one.
    headers : mapping, optional
        By their names on the wire.
    status : int, default=200
    """

    body: bytes | Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


Answering = Callable[["Plane", Call], Reply]

#: By operation: ``InvokeEndpoint``, ``InvokeEndpointAsync``, ``InvokeEndpointWithResponseStream``.
RUNTIME: dict[str, Answering] = {}


def runtime_operation(name: str) -> Callable[[Answering], Answering]:
    """Register the function that answers an operation of the runtime."""

    def register(function: Answering) -> Answering:
        RUNTIME[name] = function
        return function

    return register
