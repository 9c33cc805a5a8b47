"""A request's body while it is read and held, within the bounds of one and of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request

from kneighbors.server.refusals import HTTPRefused, body_too_large

if TYPE_CHECKING:
    from kneighbors.server.service import Service

#: Name of the extension, in an ASGI scope, by which our server tells more about the connection:
#: its exchange, ``cycle``, and the ``tasks`` of all requests that this process is answering.
CONNECTION = "kneighbors.connection"


class ClientGone(Exception):
    """The client left before its request was complete, or before its answer was."""


def is_gone(request: Request) -> bool:
    """Return whether a client is known to have left; other servers than ours do not tell."""
    connection = request.scope.get("extensions", {}).get(CONNECTION)
    return connection is not None and bool(connection["cycle"].disconnected)


def is_alone(request: Request) -> bool:
    """Return whether this process is known to have no other request."""
    connection = request.scope.get("extensions", {}).get(CONNECTION)
    return connection is not None and len(connection["tasks"]) == 1


class Body:
    """The body of one request.

    Parameters
    ----------
    service : Service
        Which counts what all bodies hold.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """Return the whole body.

        Raises
        ------
        HTTPRefused
            With code ``body-too-large`` or ``overloaded``.
        ClientGone
        """
        pieces: list[bytes] = []
        most = self._service.settings.max_body_bytes
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            raise body_too_large(most)
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            more = message.get("more_body", False)
            if piece:
                pieces.append(piece)
                self._hold(len(piece))
                if self._held > most:
                    raise body_too_large(most)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _hold(self, count: int) -> None:
        service = self._service
        self._held += count
        service.buffered_bytes += count
        service.telemetry.add("kneighbors_buffered_bytes", count)
        # The last one in yields, unless it is alone: a single body may always come.
        most = max(service.settings.max_buffered_bytes, self._held)
        if service.buffered_bytes > most:
            raise HTTPRefused(
                "overloaded", "Expected fewer bodies at a time; those that are held fill the room."
            )

    def release(self) -> None:
        """Count the body no more."""
        self._service.buffered_bytes -= self._held
        self._service.telemetry.add("kneighbors_buffered_bytes", -self._held)
        self._held = 0
