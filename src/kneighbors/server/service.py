"""What the routes of one worker work with."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from kneighbors.server.answering import Answering
from kneighbors.server.guard import Guard
from kneighbors.server.lifecycle import Endpoint
from kneighbors.server.settings import Settings
from kneighbors.server.telemetry import Telemetry
from kneighbors.server.workpool import WorkPool

if TYPE_CHECKING:
    from kneighbors.server.models import Models
    from kneighbors.server.observing import Observer
    from kneighbors.server.tracing import Tracing


@dataclass(slots=True)
class Service:
    """One worker's settings, model, threads and counters.

    Parameters
    ----------
    settings : Settings
    endpoint : Endpoint
        The one model, or that there is none.
    pool : WorkPool
    answering : Answering
    telemetry : Telemetry
    guard : Guard
    models : Models, optional
        The many models, where requests load and unload them.
    observer : Observer, optional
        What looks at the answers of the one model.
    tracing : Tracing, optional
        What makes traces, where they are asked for.
    """

    settings: Settings
    endpoint: Endpoint
    pool: WorkPool
    answering: Answering
    telemetry: Telemetry
    guard: Guard
    models: Models | None = None
    observer: Observer | None = None
    tracing: Tracing | None = None
    buffered_bytes: int = 0

    async def stop(self) -> None:
        """End what goes on beside the requests."""
        if self.observer is not None:
            self.observer.stop()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.stop)


def service_of(request: Request) -> Service:
    """Return what the application gave its routes."""
    service: Service = request.app.state.service
    return service


def json_response(value: Any) -> Response:
    """Return a value as the answer to a request."""
    body = json.dumps(value, ensure_ascii=True).encode()
    return Response(body, headers={"content-type": "application/json"})
