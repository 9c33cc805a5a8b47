"""The transport of a connection as uvicorn sees it, and answers given without the application."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from kneighbors.server.refusals import Refusal, request_id

if TYPE_CHECKING:
    from kneighbors.server.protocol import StrictProtocol


class Wire:
    """A transport whose closing means `StrictProtocol.end`.

    Parameters
    ----------
    transport : asyncio.Transport
    protocol : StrictProtocol
    """

    __slots__ = ("_protocol", "_transport", "write")

    def __init__(self, transport: Any, protocol: StrictProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self.write = transport.write

    def close(self) -> None:
        """Close as the protocol does."""
        self._protocol.end()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._protocol.is_ending or bool(self._transport.is_closing())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def last_words(
    refusal: Refusal, headers: Iterable[tuple[bytes, bytes]], *, is_last: bool = True
) -> bytes:
    """Return a refusal as the bytes of a response, after which the connection is mostly closed.

    Parameters
    ----------
    refusal : Refusal
    headers : iterable of (name, value)
        What every response carries.
    is_last : bool, default=True
        Whether it is.
    """
    lines = [
        b"HTTP/1.1 %d %s" % (refusal.status, HTTPStatus(refusal.status).phrase.encode()),
        *(name + b": " + value for name, value in (*headers, *refusal.headers)),
        b"x-request-id: " + request_id(),
        *([b"connection: close"] if is_last else []),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + refusal.body
