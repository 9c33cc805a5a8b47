"""A call of SageMaker's runtime and its answer, free of the HTTP server around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InvokeRequest:
    """What a client sent to an endpoint.

    Parameters
    ----------
    endpoint : str
        Name, as it is in the path.
    action : str
        Last part of the path: ``"invocations"``, ``"async-invocations"`` or
        ``"invocations-response-stream"``.
    headers : mapping of str to str
        Names in lower case.
    body : bytes
    """

    endpoint: str
    action: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class InvokeReply:
    """What goes back.

    Parameters
    ----------
    status : int
    headers : dict of str to str
    body : bytes or iterator of bytes
        An iterator's pieces are to be sent as they come; it is to be closed if they cannot be.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterator[bytes] = b""
