"""From an HTTP request to what is hosted, and from its reply to the response."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from kneighbors.formats.attributes import foreign_attributes
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Reply
from kneighbors.server.answering import Begun, Call, Demand
from kneighbors.server.bodies import Body, is_alone, is_gone
from kneighbors.server.refusals import HTTPRefused, check_encoding
from kneighbors.server.service import Service
from kneighbors.server.streaming import StreamedResponse
from kneighbors.server.telemetry import STAGES
from kneighbors.server.workpool import NO_HOLD, Hold

if TYPE_CHECKING:
    from kneighbors.sagemaker.hosting import Hosted
    from kneighbors.server.tracing import Spent

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
#: What frames the answer is not for a script to say.
_OURS = frozenset({"content-type", "content-length", "transfer-encoding", "connection", "date"})
_BODILESS = frozenset({204, 304})


async def invoke(
    request: Request, service: Service, hosted: Hosted, hold: Hold = NO_HOLD
) -> Response:
    """Answer a request.

    Parameters
    ----------
    request : Request
    service : Service
    hosted : Hosted
    hold : Hold, optional
        Acquired and released for whatever uses `hosted`.
    """
    service.pool.check_room()
    check_encoding(_only(request, "content-encoding"))
    content_type = _only(request, "content-type")
    attributes = _only(request, ATTRIBUTES)
    accept = ", ".join(request.headers.getlist("accept")) or None
    least = 0 if request.scope.get("http_version") == "1.0" else service.settings.stream_from
    begin = time.perf_counter()
    body = Body(service)
    with ExitStack() as in_use:
        in_use.callback(body.release)
        hold.acquire()
        in_use.callback(hold.release)
        data = await body.read(request)
        received = time.perf_counter()
        call = Call(data, content_type, accept, attributes)
        demand = Demand(least, hold, partial(is_gone, request), partial(is_alone, request))
        answered = await service.answering.answer(hosted, call, demand)
        headers = _returned(hosted, attributes)
        if isinstance(answered, Begun):
            before = (received - begin, *answered.seconds)
            exchange = request.scope["exchange"]
            in_use = in_use.pop_all()
            return _streamed(service, exchange, before, len(data), answered, headers, hold, in_use)
    seconds = (received - begin, *answered.seconds)
    _observe(service, request.scope["exchange"], seconds, len(data), answered.reply.rows)
    service.telemetry.add("kneighbors_answer_bytes_total", len(answered.reply.body))
    if answered.reply.is_partial:
        service.telemetry.add("kneighbors_partial_answers_total")
    return _response(answered.reply, headers)


def _streamed(
    service: Service,
    exchange: Spent,
    before: tuple[float, float, float],
    body_bytes: int,
    begun: Begun,
    headers: dict[str, str],
    hold: Hold,
    in_use: ExitStack,
) -> Response:
    """Return the response that goes on computing, and lets go of what is in use in the end."""

    def on_end(sent: int) -> None:
        in_use.close()
        seconds = (*before, *begun.stream.spent)
        _observe(service, exchange, seconds, body_bytes, begun.stream.rows)
        service.telemetry.add("kneighbors_answer_bytes_total", sent)

    def go_on() -> Awaitable[tuple[bytes, float]]:
        timeout_s = service.settings.answer_timeout_s
        return service.pool.run(begun.stream.next, timeout_s, hold=hold, is_admitted=True)

    return StreamedResponse(begun.stream.content_type, begun.first, go_on, on_end, headers)


def _observe(
    service: Service, exchange: Spent, seconds: tuple[float, ...], body_bytes: int, rows: int
) -> None:
    exchange.stages, exchange.queries = seconds, rows
    telemetry = service.telemetry
    for stage, spent in zip(STAGES, seconds, strict=True):
        telemetry.observe("kneighbors_stage_seconds", spent, (stage,))
    telemetry.observe("kneighbors_request_queries", rows)
    telemetry.add("kneighbors_body_bytes_total", body_bytes)


def _response(reply: Reply, headers: dict[str, str]) -> Response:
    body = b"" if reply.status in _BODILESS else reply.body
    response = Response(body, reply.status, {**headers, "content-type": reply.content_type})
    for name, value in reply.headers:  # of a script
        if _HEADER_NAME.fullmatch(name) is None or not _is_header_value(value):
            raise ValueError(f"a script's header is malformed: {name!r:.100}: {value!r:.100}")
        if name.lower() not in _OURS:
            response.headers.append(name, value)
    return response


def _is_header_value(value: str) -> bool:
    return all(" " <= one <= "~" or "\xa0" <= one <= "\xff" or one == "\t" for one in value)


def _returned(hosted: Hosted, attributes: str | None) -> dict[str, str]:
    """Return the header that gives a client back what is its own, such as a trace id.

    What it means to a script, only the script knows, and it may answer with its own.
    """
    if attributes is None or not isinstance(hosted, Model):
        return {}
    foreign = foreign_attributes(attributes)
    return {ATTRIBUTES: foreign} if foreign else {}


def _only(request: Request, name: str) -> str | None:
    """Return a header that may come once; None if it did not come."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise HTTPRefused(
            "header-doubled", f"Expected {name} once, got it {len(values)} times.", where=name
        )
    return values[0] if values else None
