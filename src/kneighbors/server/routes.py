"""What each path answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kneighbors.server.lifecycle import Endpoint
from kneighbors.server.refusals import HTTPRefused, body_too_large
from kneighbors.server.settings import MIB, Settings
from kneighbors.server.telemetry import CONTENT_TYPE, Telemetry
from kneighbors.server.workpool import WorkPool

if TYPE_CHECKING:
    from kneighbors.sagemaker.model import Model
    from kneighbors.sagemaker.query import Reply

_MOST_MIB_AT_A_TIME = 100

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


class ClientGone(Exception):
    """The client left before its request was complete."""


@dataclass(slots=True)
class Service:
    """What the routes work with."""

    settings: Settings
    endpoint: Endpoint
    pool: WorkPool
    telemetry: Telemetry
    buffered_bytes: int = 0


class Answered(NamedTuple):
    """A reply, and when its parts began and ended, in seconds of `time.perf_counter`."""

    reply: Reply
    times: tuple[float, float, float, float]


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def ping(request: Request) -> Response:
    """Answer 200 with an empty body, if the model has answered its first query, else 503."""
    _service(request).endpoint.check_open()
    return Response(b"")


async def invocations(request: Request) -> Response:
    """Answer a request for neighbours."""
    service = _service(request)
    model = service.endpoint.model
    service.pool.check_room()
    content_type = _only(request, "content-type")
    attributes = _only(request, ATTRIBUTES)
    accept = ", ".join(request.headers.getlist("accept")) or None
    begin = time.perf_counter()
    body = _Body(service)
    try:
        data = await body.read(request)
        received = time.perf_counter()
        answered, waited_s = await service.pool.run(
            lambda: _answer(model, data, content_type, accept, attributes),
            service.settings.answer_timeout_s,
        )
    finally:
        body.release()
    _observe(service.telemetry, (received - begin, waited_s), answered, len(data))
    reply = answered.reply
    return Response(reply.body, headers={"content-type": reply.content_type})


def _answer(
    model: Model,
    body: bytes,
    content_type: str | None,
    accept: str | None,
    attributes: str | None,
) -> Answered:
    """Do the work of an invocation; runs in a thread of the pool."""
    begin = time.perf_counter()
    query = model.read(body, content_type, accept, attributes)
    read = time.perf_counter()
    (found,) = model.find([query])
    searched = time.perf_counter()
    reply = model.write(query, found)
    return Answered(reply, (begin, read, searched, time.perf_counter()))


def _observe(
    telemetry: Telemetry, before: tuple[float, float], answered: Answered, body_bytes: int
) -> None:
    begin, read, searched, written = answered.times
    spent = (*before, read - begin, searched - read, written - searched)
    for stage, seconds in zip(("body", "queue", "read", "search", "write"), spent, strict=True):
        telemetry.observe("kneighbors_stage_seconds", seconds, (stage,))
    telemetry.observe("kneighbors_request_queries", answered.reply.rows)
    telemetry.add("kneighbors_body_bytes_total", body_bytes)
    telemetry.add("kneighbors_answer_bytes_total", len(answered.reply.body))


def _only(request: Request, name: str) -> str | None:
    """Return a header that may come once; None if it did not come."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise HTTPRefused(
            "header-doubled", f"Expected {name} once, got it {len(values)} times.", where=name
        )
    return values[0] if values else None


class _Body:
    """A request's body while it is read and held, within the bounds of one and of all."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._held = 0

    async def read(self, request: Request) -> bytes:
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
        self._service.buffered_bytes -= self._held
        self._service.telemetry.add("kneighbors_buffered_bytes", -self._held)
        self._held = 0


async def execution_parameters(request: Request) -> Response:
    """Say how batch transform should call."""
    settings = _service(request).settings
    payload = max(1, settings.max_body_bytes // MIB)
    at_a_time = settings.worker_count * settings.threads
    parameters = {
        # SageMaker bounds the product of the two.
        "MaxConcurrentTransforms": max(1, min(at_a_time, _MOST_MIB_AT_A_TIME // payload)),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": payload,
    }
    return Response(_json(parameters), headers={"content-type": "application/json"})


async def metrics(request: Request) -> Response:
    """Answer with the metrics of all workers."""
    service = _service(request)
    text = service.telemetry.exposition(service.endpoint.facts)
    return Response(text, headers={"content-type": CONTENT_TYPE})


async def openapi(request: Request) -> Response:
    """Answer with the description of all this."""
    body = _document(_service(request).settings)
    return Response(body, headers={"content-type": "application/json"})


@cache
def _document(settings: Settings) -> bytes:
    from kneighbors.server.openapi import document

    return _json(document(settings))


def _json(value: object) -> bytes:
    import json

    return json.dumps(value, ensure_ascii=True).encode()


#: Paths, the names by which metrics know them, and methods.
ROUTES = (
    Route("/ping", ping, methods=["GET", "POST"], name="ping"),
    Route("/invocations", invocations, methods=["POST"], name="invocations"),
    Route("/execution-parameters", execution_parameters, name="execution-parameters"),
    Route("/metrics", metrics, name="metrics"),
    Route("/openapi.json", openapi, name="openapi"),
)
