"""What the routes of one worker work with."""

from __future__ import annotations

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
    """

    settings: Settings
    endpoint: Endpoint
    pool: WorkPool
    answering: Answering
    telemetry: Telemetry
    guard: Guard
    models: Models | None = None
    buffered_bytes: int = 0


def service_of(request: Request) -> Service:
    """Return what the application gave its routes."""
    service: Service = request.app.state.service
    return service


def json_response(value: Any) -> Response:
    """Return a value as the answer to a request."""
    body = json.dumps(value, ensure_ascii=True).encode()
    return Response(body, headers={"content-type": "application/json"})
