"""One request and its answer: what every one of them has, whatever the path."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from kneighbors.server.logs import LOG
from kneighbors.server.refusals import Refusal, refusal, request_id, stopping
from kneighbors.server.service import Service

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Exchange:
    """One request and its answer.

    Parameters
    ----------
    service : Service
    label_of : callable
        The name by which metrics know a path, None if it is none of those.
    paths : str
        What paths there are, for messages.
    scope, send
        As ASGI has them.

    Attributes
    ----------
    generation : bytes
        Of what answers, empty if that is not known: what is served when the request comes, unless
        a route says otherwise.
    """

    def __init__(
        self,
        service: Service,
        label_of: Callable[[str], str | None],
        paths: str,
        scope: Scope,
        send: Send,
    ) -> None:
        self.begin = time.perf_counter()
        self.paths = paths
        self.telemetry = service.telemetry
        self.tracing = service.tracing
        self.stages: tuple[float, ...] = ()
        self.queries = 0
        self.guard = service.guard
        self.endpoint = service.endpoint
        self.generation = self.endpoint.generation
        given = next((v for name, v in scope["headers"] if name == b"x-request-id"), None)
        self.id = request_id(given)
        # Paths are taken as they are written: /%70ing is no other way to say /ping.
        path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
        self.scope = {**scope, "path": path, "exchange": self}
        self.route = label_of(path) or "other"
        self.status = 0
        self.code: str | None = None
        self.has_left = False
        self._send = send

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        """Let an application answer, or answer in its place what went wrong."""
        self.telemetry.add("kneighbors_in_flight", 1.0)
        try:
            self.guard.check(
                self.scope["path"],
                [value for name, value in self.scope["headers"] if name == b"authorization"],
            )
            await app(self.scope, receive, self.send)
        except asyncio.CancelledError:
            # The server stops and cannot wait any longer.
            await self._fail(stopping())
        except Exception as error:
            await self._fail(error)
        finally:
            self.telemetry.add("kneighbors_in_flight", -1.0)
            self._record()

    async def send(self, message: Message) -> None:
        """Send a part of the answer, its head with what every head has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [(b"x-request-id", self.id)]
            if self.generation:
                own.append((b"x-kneighbors-generation", self.generation))
            message["headers"] = [*message.get("headers", ()), *own]
        await self._send(message)

    def refused(self, error: BaseException) -> Refusal:
        """Note an error, and return the answer to it."""
        answer = refusal(error)
        self.code = answer.code
        self.telemetry.error(answer.code)
        if answer.status == 500 and answer.code != "model-failed":
            LOG.error("fault", exc_info=error, extra={"facts": {"id": self.id.decode()}})
            if answer.code.startswith(("artifact-", "storage-")):
                self.endpoint.fail(error, self.generation)
        return answer

    async def _fail(self, error: BaseException) -> None:
        # What Starlette's handlers answered has been noted there, and is raised again by it.
        if self.status:
            return
        answer = self.refused(error)
        await self.send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": answer.headers,
            }
        )
        await self.send({"type": "http.response.body", "body": answer.body})

    def _record(self) -> None:
        seconds = time.perf_counter() - self.begin
        if self.has_left:
            self.telemetry.add("kneighbors_disconnects_total")
        elif self.status:
            self.telemetry.request(self.route, self.status, seconds)
        trace_id = None if self.tracing is None else self.tracing.request(self)
        if not LOG.isEnabledFor(20):
            return
        facts = {
            "method": self.scope["method"],
            "path": self.scope["path"],
            "status": self.status,
            "ms": round(seconds * 1e3, 2),
            "id": self.id.decode(),
        }
        if self.code is not None:
            facts["code"] = self.code
        if trace_id is not None:
            facts["trace_id"] = trace_id
        LOG.info("request", extra={"facts": facts})
