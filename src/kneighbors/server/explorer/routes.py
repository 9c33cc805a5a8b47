"""The paths of the page and of what it asks, strict about what they are given."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kneighbors.errors import ParameterRefused
from kneighbors.sagemaker.model import Model
from kneighbors.server.explorer import frames
from kneighbors.server.explorer.assets import SECURITY_HEADERS, assets
from kneighbors.server.explorer.view import View
from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.service import json_response, service_of

T = TypeVar("T")

_PAGE = "index.html"
_MOST_ROWS = 200
_MOST_RESULTS = 50
_LONGEST_TYPED = 100
_ROWS = re.compile(r"[0-9]{1,12}(,[0-9]{1,12})*")


async def page(request: Request) -> Response:
    """Answer with the page."""
    _parameters(request)
    with suppress(HTTPRefused):  # the page is there before the model, and waits for it
        _view(request).prepare()
    return _file(request, _PAGE)


async def asset(request: Request) -> Response:
    """Answer with one of the page's files."""
    _parameters(request)
    return _file(request, request.path_params["name"])


async def about(request: Request) -> Response:
    """Answer with the model's facts, schema and facets."""
    _parameters(request)
    body = await _made(request, View.about)
    return Response(body, headers={**SECURITY_HEADERS, "content-type": "application/json"})


async def search(request: Request) -> Response:
    """Answer with the items that are called so."""
    given = _parameters(request, "q", "limit")
    limit = _limit(given.get("limit", "10"))
    typed = _typed(given)
    return _json(await _made(request, lambda view: view.search(typed, limit)))


async def terms(request: Request) -> Response:
    """Answer with the vocabulary's terms that begin so."""
    typed = _typed(_parameters(request, "q"))
    return _json(await _made(request, lambda view: view.terms(typed)))


async def items(request: Request) -> Response:
    """Answer with the attributes of rows."""
    rows = _rows(_parameters(request, "rows"))
    return _json(await _made(request, lambda view: {"items": view.items(rows)}))


async def places(request: Request) -> Response:
    """Answer with the places of rows on the map."""
    rows = _rows(_parameters(request, "rows"))

    def placed(view: View) -> dict[str, object]:
        view.items(rows)  # refuses rows that there are none of
        return {"places": view.places(rows)}

    return _json(await _made(request, placed))


async def map_(request: Request) -> Response:
    """Answer with the points of the map."""
    _parameters(request)
    return _frame(await _made(request, View.map))


async def colours(request: Request) -> Response:
    """Answer with a colour for each point of the map."""
    name = _parameters(request, "column").get("column", "")
    return _frame(await _made(request, lambda view: view.colours(name)))


async def _made(request: Request, make: Callable[[View], T]) -> T:
    """Return what a view makes, in a thread of the pool, for it may take a second."""
    service = service_of(request)
    view = _view(request)
    made, _ = await service.pool.run(lambda: make(view), service.settings.answer_timeout_s)
    return made


def _view(request: Request) -> View:
    hosted = service_of(request).endpoint.hosted
    if not isinstance(hosted, Model):
        raise HTTPRefused(
            "explorer-unavailable",
            "Expected a model of kneighbors to explore, but a script answers here.",
        )
    view: View | None = getattr(request.app.state, "view", None)
    if view is None or view.model is not hosted:
        view = request.app.state.view = View(hosted)
    return view


def _parameters(request: Request, *known: str) -> dict[str, str]:
    """Return the parameters of the query string, each of which is known and given once."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            expected = f"no parameter but {', '.join(known)}" if known else "no parameters"
            raise ParameterRefused(
                "parameter-unknown", f"Expected {expected}, got {name!r:.60}.", where="query string"
            )
        if name in given:
            raise ParameterRefused(
                "parameter-conflict", f"Expected {name} once, got it twice.", where=name
            )
        given[name] = value
    return given


def _typed(given: dict[str, str]) -> str:
    typed = given.get("q", "")
    if len(typed) > _LONGEST_TYPED:
        raise ParameterRefused(
            "parameter-range",
            f"Expected at most {_LONGEST_TYPED} characters, got {len(typed)}.",
            where="q",
        )
    return typed


def _limit(text: str) -> int:
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    if not 1 <= limit <= _MOST_RESULTS:
        raise ParameterRefused(
            "parameter-range", f"Expected a limit of 1 to {_MOST_RESULTS}.", where="limit"
        )
    return limit


def _rows(given: dict[str, str]) -> list[int]:
    text = given.get("rows", "")
    if _ROWS.fullmatch(text) is None or text.count(",") >= _MOST_ROWS:
        raise ParameterRefused(
            "parameter-type",
            f"Expected 1 to {_MOST_ROWS} rows as whole numbers with commas between them.",
            where="rows",
        )
    return [int(row) for row in text.split(",")]


def _file(request: Request, name: str) -> Response:
    found = assets().get(name)
    if found is None:
        raise HTTPRefused("path-unknown", "Expected the name of one of the page's files.")
    headers = {
        **SECURITY_HEADERS,
        "content-type": found.content_type,
        "etag": found.tag,
        "cache-control": "no-cache",
    }
    if request.headers.get("if-none-match") == found.tag:
        return Response(b"", 304, headers)
    return Response(found.body, headers=headers)


def _json(value: object) -> Response:
    response = json_response(value)
    response.headers.update(SECURITY_HEADERS)
    return response


def _frame(body: bytes) -> Response:
    return Response(body, headers={**SECURITY_HEADERS, "content-type": frames.CONTENT_TYPE})


#: Paths and what answers them.
EXPLORER_ROUTES = (
    Route("/explorer", page),
    Route("/explorer/api/about", about),
    Route("/explorer/api/search", search),
    Route("/explorer/api/terms", terms),
    Route("/explorer/api/items", items),
    Route("/explorer/api/places", places),
    Route("/explorer/api/map", map_),
    Route("/explorer/api/colours", colours),
    Route("/explorer/{name}", asset),
)


def label_of(path: str) -> str | None:
    """Return the name by which metrics know a path, None if it is none of these.

    Examples
    --------
    >>> label_of("/explorer"), label_of("/explorer/api/map"), label_of("/ping")
    ('explorer', 'explorer', None)
    """
    return "explorer" if path == "/explorer" or path.startswith("/explorer/") else None
