"""The ASGI application: paths to functions, and what every request has in common.

It knows no processes and no sockets: `kneighbors.server.run` gives it those, and any other ASGI
server will do as well.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kneighbors.errors import KNeighborsError
from kneighbors.server.answering import Answering
from kneighbors.server.batching import Batcher, ignore
from kneighbors.server.board import Board, Slot
from kneighbors.server.bodies import ClientGone
from kneighbors.server.exchange import Exchange, Receive, Scope, Send
from kneighbors.server.guard import Guard
from kneighbors.server.lifecycle import Endpoint, Opener
from kneighbors.server.observing import Observer
from kneighbors.server.opening import opener_of
from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.routes import ROUTES
from kneighbors.server.service import Service
from kneighbors.server.settings import Settings
from kneighbors.server.telemetry import NUMBERS, Telemetry
from kneighbors.server.tracing import tracing_of
from kneighbors.server.workpool import WorkPool

if TYPE_CHECKING:
    from kneighbors.server.registry import Registry

_LABEL_OF_PATH = {route.path: route.name for route in ROUTES}


def create_app(
    settings: Settings,
    *,
    slot: Slot | None = None,
    opener: Opener | None = None,
    environ: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Application:
    """Return the endpoint as an ASGI application.

    The model is opened in the background when the application starts (ASGI's lifespan).

    Parameters
    ----------
    settings : Settings
        Of these, the application itself heeds the model, `threads`, `n_neighbors`, the limits of
        bodies, rows and waiting requests, and `answer_timeout_s`; the rest is for `run.serve`.
    slot : Slot, optional
        The worker's row of the board that it shares with others.
    opener : callable, optional
        Opens the model, in place of opening `settings.model`.
    environ : mapping of str to str, optional
        A container's variables: then code that comes with models is run.
    registry : Registry, optional
        Where there are several models, which of them are loaded in all the workers.

    Returns
    -------
    Application
    """
    slot = slot or Board(1, NUMBERS).take()
    telemetry = Telemetry(slot)
    pool = WorkPool(
        settings.threads,
        settings.max_waiting,
        on_change=lambda waiting: telemetry.set("kneighbors_waiting", waiting),
    )
    is_many = settings.multi_model == "true"
    opener = None if is_many else opener or opener_of(settings)
    endpoint = Endpoint(opener, slot, telemetry.add)
    # Statistics of any number of models would be as many metrics.
    observer = None if is_many else Observer(telemetry, endpoint, settings.recheck_share)
    batcher = Batcher(
        pool,
        settings.batch_rows,
        settings.batch_wait_ms / 1000,
        on_batch=telemetry.batch,
        on_candidates=telemetry.candidates,
        on_found=ignore if observer is None else observer.saw,
        max_wait_s=settings.max_wait_ms / 1000,
    )
    service = Service(
        settings=settings,
        endpoint=endpoint,
        pool=pool,
        answering=Answering(pool, batcher, settings.answer_timeout_s),
        telemetry=telemetry,
        guard=Guard(settings, is_platform=environ is not None),
        observer=observer,
        tracing=tracing_of(),
    )
    if settings.explorer == "true":
        from kneighbors.server.explorer.routes import EXPLORER_ROUTES
        from kneighbors.server.explorer.routes import label_of as explorer_label_of

        return Application(
            service,
            (*ROUTES, *EXPLORER_ROUTES),
            lambda path: _LABEL_OF_PATH.get(path) or explorer_label_of(path),
        )
    if not is_many:
        return Application(service)
    from kneighbors.server.model_routes import MODEL_ROUTES, label_of
    from kneighbors.server.models import Models
    from kneighbors.server.registry import own_registry

    service.models = Models(
        settings,
        registry or own_registry(),
        slot.number,
        environ,
        on_change=lambda count: telemetry.set("kneighbors_models_open", count),
    )
    return Application(
        service,
        (*ROUTES, *MODEL_ROUTES),
        lambda path: _LABEL_OF_PATH.get(path) or label_of(path),
    )


class Application:
    """Starlette's application, and around it ids, measurements, the log and errors as JSON.

    Parameters
    ----------
    service : Service
        What the routes work with.
    routes : sequence of Route, optional
    label_of : callable, optional
        The name by which metrics know a path, None if it is none of those.
    """

    def __init__(
        self,
        service: Service,
        routes: Sequence[Route] = ROUTES,
        label_of: Callable[[str], str | None] = _LABEL_OF_PATH.get,
    ) -> None:
        self.service = service
        self.label_of = label_of
        self.paths = ", ".join(sorted(route.path for route in routes))
        self._inner = Starlette(
            routes=[*routes],
            exception_handlers={
                HTTPException: _unrouted,
                ClientGone: _left,
                KNeighborsError: _refused,
                MemoryError: _refused,
                Exception: _refused,
            },
            lifespan=self._lifespan,
        )
        self._inner.router.redirect_slashes = False
        self._inner.state.service = service
        # Starlette's way to a function costs more than many a search: what needs no routing, a
        # path and a method as they are written, takes a shorter one.
        self._direct = {
            (route.path, method): route.endpoint
            for route in routes
            if not route.param_convertors
            for method in (route.methods or set()) - {"HEAD"}
        }

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.service.endpoint.start()
        if self.service.models is not None:
            self.service.models.start()
        yield
        await self.service.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        exchange = Exchange(self.service, self.label_of, self.paths, scope, send)
        endpoint = self._direct.get((exchange.scope["path"], scope["method"]))
        if endpoint is None:
            await exchange.run(self._inner, receive)
            return
        exchange.scope["app"] = self._inner
        await exchange.run(_Direct(endpoint), receive)


class _Direct:
    """A function of `kneighbors.server.routes` as an ASGI application."""

    __slots__ = ("_endpoint",)

    def __init__(self, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._endpoint(request)
        except ClientGone as error:
            response = _left(request, error)
        await response(scope, receive, send)


def _refused(request: Request, error: Exception) -> Response:
    answer = request.scope["exchange"].refused(error)
    response = Response(answer.body, answer.status)
    response.raw_headers[:] = answer.headers
    return response


def _left(request: Request, error: Exception) -> Response:
    # Nobody reads this; ASGI wants an answer all the same.
    request.scope["exchange"].has_left = True
    return Response(b"", 400)


def _unrouted(request: Request, error: Exception) -> Response:
    """Turn Starlette's own refusals, an unknown path and a wrong method, to ours."""
    allow = (getattr(error, "headers", None) or {}).get("Allow")
    if getattr(error, "status_code", 0) == 405 and allow is not None:
        methods = ", ".join(sorted(allow.replace(" ", "").split(",")))
        refused = HTTPRefused(
            "method-not-allowed", f"Expected one of the methods {methods}.", allow=methods
        )
    else:
        paths = request.scope["exchange"].paths
        refused = HTTPRefused("path-unknown", f"Expected one of the paths {paths}.")
    return _refused(request, refused)
