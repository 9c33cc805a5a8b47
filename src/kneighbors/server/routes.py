"""What each path answers."""

from __future__ import annotations

from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kneighbors.server.health import health
from kneighbors.server.invoking import invoke
from kneighbors.server.service import json_response, service_of
from kneighbors.server.settings import Settings
from kneighbors.server.telemetry import CONTENT_TYPE
from kneighbors.server.transforming import execution_parameters_of


async def ping(request: Request) -> Response:
    """Answer 200 with an empty body, if the model has answered its first query, else 503."""
    service_of(request).endpoint.check_open()
    return Response(b"")


async def invocations(request: Request) -> Response:
    """Answer a request for neighbours, or whatever else is hosted."""
    service = service_of(request)
    kept = service.endpoint.kept
    request.scope["exchange"].generation = kept.generation
    return await invoke(request, service, kept.hosted, kept)


async def execution_parameters(request: Request) -> Response:
    """Say how batch transform should call."""
    service = service_of(request)
    said = None
    if service.endpoint.is_scripted:
        hosted = service.endpoint.hosted
        said, _ = await service.pool.run(
            hosted.execution_parameters, service.settings.answer_timeout_s
        )
    parameters = execution_parameters_of(service.settings) if said is None else dict(said)
    return json_response(parameters)


async def metrics(request: Request) -> Response:
    """Answer with the metrics of all workers."""
    service = service_of(request)
    text = service.telemetry.exposition(service.endpoint.facts)
    return Response(text, headers={"content-type": CONTENT_TYPE})


async def healthz(request: Request) -> Response:
    """Say how everything is and why: 200 where ``/ping`` says so, else 503."""
    status, said = health(service_of(request))
    response = json_response(said)
    response.status_code = status
    return response


async def openapi(request: Request) -> Response:
    """Answer with the description of all this."""
    return json_response(_document(service_of(request).settings))


@cache
def _document(settings: Settings) -> dict[str, Any]:
    from kneighbors.server.openapi import document

    return document(settings)


#: Paths, the names by which metrics know them, and methods.
ROUTES = (
    Route("/ping", ping, methods=["GET", "POST"], name="ping"),
    Route("/invocations", invocations, methods=["POST"], name="invocations"),
    Route("/execution-parameters", execution_parameters, name="execution-parameters"),
    Route("/metrics", metrics, name="metrics"),
    Route("/healthz", healthz, name="healthz"),
    Route("/openapi.json", openapi, name="openapi"),
)
