"""An answer that is sent while it is computed: some queries at a time, in bounded memory.

It has the same bytes as the answer that is computed first. That holds where queries follow one
another: JSON lines, CSV, and predictions in a JSON object. Arrays have all distances before the
first index, so there is little to send before the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kneighbors.errors import BodyRefused
from kneighbors.formats import CSV, JSON, JSONLINES, Accepted
from kneighbors.recommend.query import Query
from kneighbors.recommend.reachable import can_be_partial
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.writing import accepted_format
from kneighbors.server.bodies import ClientGone
from kneighbors.server.logs import LOG
from kneighbors.server.refusals import stopping

#: Queries of a piece: as many as share one product.
_QUERIES = 64
#: Neighbours of a piece, where each query has very many: some megabytes of text.
_NEIGHBOURS = 1 << 16

_OPENING, _CLOSING = b'{"predictions":[', b"]}"


class Stream:
    """The answer to a query, piece by piece; made by `stream_of`.

    Parameters
    ----------
    model : Model
    query : Query
        With a number of neighbours.
    accepted : Accepted
        The format, which no part of the answer can change.

    Attributes
    ----------
    spent : list of float
        Seconds of searching and of writing so far.
    """

    def __init__(self, model: Model, query: Query, accepted: Accepted) -> None:
        self._model = model
        self._query = query
        self._accepted = accepted
        self._step = max(1, min(_QUERIES, _NEIGHBOURS // (query.n_neighbors or 1)))
        self._done = 0
        self.content_type = accepted.content_type
        self.rows = len(query)
        self.spent = [0.0, 0.0]

    def next(self) -> bytes:
        """Compute and return the next piece; b"" after the last one."""
        if self._done == self.rows:
            return b""
        first, self._done = self._done, min(self._done + self._step, self.rows)
        begin = time.perf_counter()
        part = self._query.part(slice(first, self._done))
        (found,) = self._model.find([part])
        searched = time.perf_counter()
        piece = self._joined(self._model.write(part, found).body, first)
        self.spent[0] += searched - begin
        self.spent[1] += time.perf_counter() - searched
        return piece

    def _joined(self, body: bytes, first: int) -> bytes:
        """Return what an answer to some of the queries adds to that to all of them."""
        if self._accepted.name == JSON:
            inner = body[len(_OPENING) : -len(_CLOSING)]
            end = _CLOSING if self._done == self.rows else b""
            return (b"," if first else _OPENING) + inner + end
        has_header = self._accepted.parameters.get("header", "").lower() == "present"
        if first and self._accepted.name == CSV and has_header:
            return body.partition(b"\n")[2]
        return body


def stream_of(model: Model, query: Query, least: int) -> Stream | None:
    """Return the answer to a query as a stream, None where it has to be computed first.

    Parameters
    ----------
    model : Model
    query : Query
    least : int
        Neighbours from which on an answer is streamed; 0 never.

    Notes
    -----
    Whatever could refuse the request after the first piece keeps it from being streamed: a radius
    alone, which may hold too many, and rows that may be too few for the format. So does what
    cannot be searched: a header says which rows.
    """
    if not least or query.n_neighbors is None or len(query) <= _QUERIES:
        return None
    if len(query) * query.n_neighbors < least:
        return None
    if query.allow_partial and can_be_partial(model.index):
        return None
    accepted = accepted_format(query, ragged=False)
    if query.may_fall_short:
        try:
            if accepted_format(query, ragged=True).name != accepted.name:
                return None
        except BodyRefused:
            return None
    in_turn = accepted.name in (JSONLINES, CSV)
    if not in_turn and not (accepted.name == JSON and query.shape == "object"):
        return None
    return Stream(model, query, accepted)


class StreamedResponse(Response):
    """A response whose body is still being computed.

    A fault after the first piece ends the connection without the last chunk, so that no client
    takes the part for the whole.

    Parameters
    ----------
    content_type : str
    first : bytes
        The first piece.
    go_on : callable
        Computes and returns the next piece, b"" after the last one.
    on_end : callable
        Told how many bytes were sent, whether or not they were all.
    headers : dict
        Besides the content type.
    """

    def __init__(
        self,
        content_type: str,
        first: bytes,
        go_on: Callable[[], Awaitable[tuple[bytes, float]]],
        on_end: Callable[[int], None],
        headers: dict[str, str],
    ) -> None:
        super().__init__(headers={**headers, "content-type": content_type})
        del self.headers["content-length"]
        self._piece = first
        self._go_on = go_on
        self._on_end = on_end
        self._sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces as they come."""
        exchange = scope["exchange"]
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await self._send_all(leaving, send)
        except ClientGone:
            exchange.has_left = True
        except asyncio.CancelledError:
            _break_off(exchange, stopping())
        except Exception as error:
            _break_off(exchange, error)
        finally:
            leaving.cancel()
            self._on_end(self._sent)

    async def _send_all(self, leaving: asyncio.Future[None], send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while self._piece:
            await send({"type": "http.response.body", "body": self._piece, "more_body": True})
            if leaving.done():
                raise ClientGone
            self._sent += len(self._piece)
            self._piece, _ = await self._go_on()
        await send({"type": "http.response.body", "body": b""})


def _break_off(exchange: Any, error: BaseException) -> None:
    """Note why there is no last chunk; the server closes what is not complete."""
    facts = {"id": exchange.id.decode(), "code": exchange.refused(error).code}
    LOG.error("an answer was broken off", extra={"facts": facts})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
