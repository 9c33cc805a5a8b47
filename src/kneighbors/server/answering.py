"""The stages between a request's body and its answer, each where it costs least.

Reading and writing go to a thread of the pool unless they have been short of late. Plain queries
are searched for in batches; what gains nothing by company is done alone, in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Found, Query, Reply
from kneighbors.server.batching import Batcher
from kneighbors.server.quickness import Quickness
from kneighbors.server.streaming import Stream, stream_of
from kneighbors.server.workpool import NO_HOLD, Hold, WorkPool

if TYPE_CHECKING:
    from kneighbors.sagemaker.hosting import Hosted

#: Reading and writing up to this long is done in the event loop's thread.
SHORT_S = 0.001
#: Longer bodies, and answers with more neighbours, always go to a thread.
_SHORT_BODY, _FEW_NEIGHBOURS = 1 << 14, 1 << 11
#: What is read without libraries that would first have to be loaded.
_PLAIN_TYPES = ("application/x-npy", "application/json")

T = TypeVar("T")


class Call(NamedTuple):
    """A request to what is hosted."""

    body: bytes
    content_type: str | None
    accept: str | None
    attributes: str | None


class Demand(NamedTuple):
    """How a request wants to be answered.

    Parameters
    ----------
    stream_from : int
        As of `stream_of`.
    hold : Hold
        Acquired for whatever runs in a thread or waits for a batch.
    is_gone : callable
        Whether the client has left.
    is_alone : callable
        Whether no other request has arrived.
    """

    stream_from: int = 0
    hold: Hold = NO_HOLD
    is_gone: Callable[[], bool] = lambda: False
    is_alone: Callable[[], bool] = lambda: False


#: By a client that stays, and all of it at once.
ANYHOW = Demand()


class Answered(NamedTuple):
    """A reply, and the seconds of waiting, reading, searching and writing."""

    reply: Reply
    seconds: tuple[float, float, float, float]


class Begun(NamedTuple):
    """The stream of an answer, its first piece, and the seconds of waiting and reading."""

    stream: Stream
    first: bytes
    seconds: tuple[float, float]


class _Read(NamedTuple):
    query: Query
    seconds: float


class Answering:
    """Answers requests of one worker.

    Parameters
    ----------
    pool : WorkPool
    batcher : Batcher
    timeout_s : float
        Seconds from the end of a body to the answer, or to its first piece.
    short_s : float, default=SHORT_S
        Reading and writing up to this long is done in the event loop's thread; 0 does none there.
    """

    def __init__(
        self, pool: WorkPool, batcher: Batcher, timeout_s: float, *, short_s: float = SHORT_S
    ) -> None:
        self._pool = pool
        self._batcher = batcher
        self._timeout_s = timeout_s
        self._reading = {kind: Quickness(short_s) for kind in _PLAIN_TYPES}
        self._writing = Quickness(short_s)

    async def answer(self, hosted: Hosted, call: Call, demand: Demand = ANYHOW) -> Answered | Begun:
        """Answer a request, or begin to.

        Raises
        ------
        KNeighborsError
            Whatever refuses the request.
        ClientGone
        """
        self._pool.check_room()
        self._batcher.check_wait()
        self._pool.count(1)
        try:
            return await self._answer(hosted, call, demand)
        finally:
            self._pool.count(-1)

    async def _answer(self, hosted: Hosted, call: Call, demand: Demand) -> Answered | Begun:
        until_s = asyncio.get_running_loop().time() + self._timeout_s
        if not isinstance(hosted, Model):
            answered, wait_s = await self._aside(lambda: _invoke(hosted, call), until_s, demand)
            return _waited(answered, wait_s)
        step, wait_s = await self._read(hosted, call, until_s, demand)
        if not isinstance(step, _Read):
            return _waited(step, wait_s)
        found, queue_s, search_s = await self._batcher.find(
            hosted,
            step.query,
            _left(until_s),
            hold=demand.hold,
            is_gone=demand.is_gone,
            is_alone=demand.is_alone(),
        )
        reply, last_s, write_s = await self._write(hosted, step.query, found, until_s, demand)
        return Answered(reply, (wait_s + queue_s + last_s, step.seconds, search_s, write_s))

    async def _read(
        self, model: Model, call: Call, until_s: float, demand: Demand
    ) -> tuple[_Read | Answered | Begun, float]:
        """Read a request; what is to be done alone is answered at once."""
        quickness = self._reading.get(call.content_type or "")
        size = len(call.body) + 1
        if quickness is None or size > _SHORT_BODY or not quickness.is_short(size):
            step, wait_s = await self._aside(
                lambda: _go_on(model, _read(model, call), demand.stream_from), until_s, demand
            )
            if quickness is not None and isinstance(step, _Read):
                quickness.observe_thread(size, step.seconds, step.seconds)
            return step, wait_s
        read = _read(model, call)
        quickness.observe(size, read.seconds)
        if _is_joinable(model, read.query, demand.stream_from):
            return read, 0.0
        return await self._aside(lambda: _go_on(model, read, demand.stream_from), until_s, demand)

    async def _write(
        self, model: Model, query: Query, found: Found, until_s: float, demand: Demand
    ) -> tuple[Reply, float, float]:
        """Return the reply, and the seconds of waiting and writing."""
        neighbours = len(query) * (query.n_neighbors or 1)
        is_plain = query.include_items is False and not query.explain
        if is_plain and neighbours <= _FEW_NEIGHBOURS and self._writing.is_short(neighbours):
            reply, write_s = _write(model, query, found)
            self._writing.observe(neighbours, write_s)
            return reply, 0.0, write_s
        (reply, write_s), wait_s = await self._aside(
            lambda: _write(model, query, found), until_s, demand
        )
        if is_plain:
            self._writing.observe_thread(neighbours, write_s, write_s)
        return reply, wait_s, write_s

    async def _aside(
        self, work: Callable[[], T], until_s: float, demand: Demand
    ) -> tuple[T, float]:
        self._pool.count(-1)  # the job has the request's place
        try:
            return await self._pool.run(work, _left(until_s), hold=demand.hold, is_admitted=True)
        finally:
            self._pool.count(1)


def _left(until_s: float) -> float:
    return max(0.0, until_s - asyncio.get_running_loop().time())


def _waited(step: Answered | Begun, wait_s: float) -> Answered | Begun:
    return step._replace(seconds=(wait_s, *step.seconds[1:]))


def _invoke(hosted: Hosted, call: Call) -> Answered:
    begin = time.perf_counter()
    reply = hosted.invoke(*call)
    return Answered(reply, (0.0, 0.0, time.perf_counter() - begin, 0.0))


def _read(model: Model, call: Call) -> _Read:
    begin = time.perf_counter()
    query = model.read(*call)
    return _Read(query, time.perf_counter() - begin)


def _is_joinable(model: Model, query: Query, stream_from: int) -> bool:
    return query.is_plain and stream_of(model, query, stream_from) is None


def _go_on(model: Model, read: _Read, stream_from: int) -> _Read | Answered | Begun:
    """Do what is to be done alone; in a thread."""
    query = read.query
    stream = stream_of(model, query, stream_from)
    if stream is not None:
        return Begun(stream, stream.next(), (0.0, read.seconds))
    if query.is_plain:
        return read
    begin = time.perf_counter()
    (found,) = model.find([query])
    search_s = time.perf_counter() - begin
    reply, write_s = _write(model, query, found)
    return Answered(reply, (0.0, read.seconds, search_s, write_s))


def _write(model: Model, query: Query, found: Found) -> tuple[Reply, float]:
    begin = time.perf_counter()
    reply = model.write(query, found)
    return reply, time.perf_counter() - begin
