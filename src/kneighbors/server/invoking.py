"""From a request to the answer of what is hosted, in a thread of the pool."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from kneighbors.formats.attributes import foreign_attributes
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Reply
from kneighbors.server.bodies import Body
from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.service import Service
from kneighbors.server.streaming import Stream, StreamedResponse, stream_of
from kneighbors.server.telemetry import STAGES
from kneighbors.server.workpool import NO_HOLD, Hold

if TYPE_CHECKING:
    from kneighbors.sagemaker.hosting import Hosted

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
#: What frames the answer is not for a script to say.
_OURS = frozenset({"content-type", "content-length", "transfer-encoding", "connection", "date"})
_BODILESS = frozenset({204, 304})


class _Call(NamedTuple):
    """A request to what is hosted."""

    body: bytes
    content_type: str | None
    accept: str | None
    attributes: str | None


class _Answered(NamedTuple):
    """A reply, and the seconds of reading, searching and writing."""

    reply: Reply
    seconds: tuple[float, float, float]


class _Begun(NamedTuple):
    """The stream of an answer, its first piece, and the seconds of reading."""

    stream: Stream
    first: bytes
    read_s: float


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
        call = _Call(data, content_type, accept, attributes)
        answered, waited_s = await service.pool.run(
            lambda: _answer(hosted, call, least), service.settings.answer_timeout_s, hold=hold
        )
        before = (received - begin, waited_s)
        headers = _returned(hosted, attributes)
        if isinstance(answered, _Begun):
            return _streamed(service, before, len(data), answered, headers, hold, in_use.pop_all())
    _observe(service, (*before, *answered.seconds), len(data), answered.reply.rows)
    service.telemetry.add("kneighbors_answer_bytes_total", len(answered.reply.body))
    return _response(answered.reply, headers)


def _answer(hosted: Hosted, call: _Call, least: int) -> _Answered | _Begun:
    """Do the work of an invocation; runs in a thread of the pool."""
    begin = time.perf_counter()
    if not isinstance(hosted, Model):
        reply = hosted.invoke(*call)
        return _Answered(reply, (0.0, time.perf_counter() - begin, 0.0))
    query = hosted.read(*call)
    read = time.perf_counter()
    stream = stream_of(hosted, query, least)
    if stream is not None:
        return _Begun(stream, stream.next(), read - begin)
    (found,) = hosted.find([query])
    searched = time.perf_counter()
    reply = hosted.write(query, found)
    return _Answered(reply, (read - begin, searched - read, time.perf_counter() - searched))


def _streamed(
    service: Service,
    before: tuple[float, float],
    body_bytes: int,
    begun: _Begun,
    headers: dict[str, str],
    hold: Hold,
    in_use: ExitStack,
) -> Response:
    """Return the response that goes on computing, and lets go of what is in use in the end."""

    def on_end(sent: int) -> None:
        in_use.close()
        seconds = (*before, begun.read_s, *begun.stream.spent)
        _observe(service, seconds, body_bytes, begun.stream.rows)
        service.telemetry.add("kneighbors_answer_bytes_total", sent)

    def go_on() -> Awaitable[tuple[bytes, float]]:
        timeout_s = service.settings.answer_timeout_s
        return service.pool.run(begun.stream.next, timeout_s, hold=hold, is_admitted=True)

    return StreamedResponse(begun.stream.content_type, begun.first, go_on, on_end, headers)


def _observe(service: Service, seconds: tuple[float, ...], body_bytes: int, rows: int) -> None:
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
