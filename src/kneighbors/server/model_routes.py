"""What the paths of several models answer, as SageMaker's multi-model endpoints ask it."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kneighbors.server.bodies import Body
from kneighbors.server.invoking import invoke
from kneighbors.server.loaded import unknown
from kneighbors.server.model_paths import check_name, name_in_path
from kneighbors.server.models import Models
from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.registry import Entry
from kneighbors.server.service import Service, json_response, service_of

_LIMIT = 100  # models of a page that asks for no number
_MOST = 1000
_TOKEN = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"/models/[^/]+(/invoke)?")


def label_of(path: str) -> str | None:
    """Return the name by which metrics know a path, None if it is none of these.

    Examples
    --------
    >>> label_of("/models/wines/invoke"), label_of("/ping")
    ('model-invoke', None)
    """
    if path == "/models":
        return "models"
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    return "model-invoke" if found[1] else "model"


async def models(request: Request) -> Response:
    """Load a model, or list what is loaded."""
    return await (_load if request.method == "POST" else _page)(request)


async def model(request: Request) -> Response:
    """Unload a model, or say that it is loaded and from where."""
    return await (_unload if request.method == "DELETE" else _show)(request)


async def _load(request: Request) -> Response:
    service = service_of(request)
    service.guard.check_management()
    body = Body(service)
    try:
        asked = _asked(await body.read(request))
    finally:
        body.release()
    entry = await _models(service).load(check_name(asked.get("model_name")), asked.get("url"))
    return json_response(_shown(entry))


async def _page(request: Request) -> Response:
    limit, token = _LIMIT, ""
    for name, value in request.query_params.multi_items():
        if name == "limit":
            is_number = value.isascii() and value.isdecimal() and len(value) <= 4
            limit = int(value) if is_number else 0
            if not 1 <= limit <= _MOST:
                raise HTTPRefused("model-page", f"Expected a limit of 1 to {_MOST}.", where=name)
        elif name == "next_page_token":
            token = value
            if _TOKEN.fullmatch(value) is None:
                raise HTTPRefused("model-page", "Expected a token of an earlier page.", where=name)
    entries, following = _models(service_of(request)).registry.page(token, limit)
    listed: dict[str, Any] = {"models": [_shown(entry) for entry in entries]}
    if following is not None:
        listed["nextPageToken"] = following
    return json_response(listed)


async def _show(request: Request) -> Response:
    entry = _models(service_of(request)).registry.get(_name(request))
    if entry is None:
        raise unknown()
    return json_response(_shown(entry))


async def _unload(request: Request) -> Response:
    service = service_of(request)
    service.guard.check_management()
    entry = await _models(service).unload(_name(request))
    return json_response(_shown(entry))


async def invoke_model(request: Request) -> Response:
    """Answer a request by one of the models."""
    service = service_of(request)
    loaded = await _models(service).model(_name(request))
    request.scope["exchange"].generation = loaded.generation
    return await invoke(request, service, loaded.hosted, loaded)


def _models(service: Service) -> Models:
    assert service.models is not None  # noqa: S101 - these routes are there with it alone
    return service.models


def _name(request: Request) -> str:
    return name_in_path(request.path_params["name"])


def _shown(entry: Entry) -> dict[str, str]:
    return {"modelName": entry.name, "modelUrl": entry.url}


def _asked(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body.decode())
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise HTTPRefused("model-request", 'Expected {"model_name": "...", "url": "..."} in JSON.')
    return asked


#: Paths, the names by which metrics know them, and methods.
MODEL_ROUTES = (
    Route("/models", models, methods=["GET", "POST"], name="models"),
    Route("/models/{name}", model, methods=["GET", "DELETE"], name="model"),
    Route("/models/{name}/invoke", invoke_model, methods=["POST"], name="model-invoke"),
)
