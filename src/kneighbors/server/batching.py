"""The searches of one worker: requests that arrive while one runs share the next.

A request that finds nobody searching starts at once, with those that arrived in the same moment.
Each keeps its own time-out, and its own error: where a batch fails, its halves are tried, down to
the one that is to blame.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Found, Query
from kneighbors.search.tally import TALLY
from kneighbors.server.batch import Search, Waiting
from kneighbors.server.bodies import ClientGone
from kneighbors.server.joining import find_each, joined
from kneighbors.server.quickness import Quickness
from kneighbors.server.refusals import HTTPRefused, late
from kneighbors.server.turns import Line
from kneighbors.server.workpool import NO_HOLD, Hold, WorkPool

#: A search up to this long is done in the event loop's thread; pings wait no longer than that.
SHORT_S = 0.005
#: Neighbours that a batch asks for: some MiB of answers at a time.
_NEIGHBOURS = 1 << 17
#: Requests in the line from which on their waiting counts: fewer are searched for at once.
_MANY = 32

Observer = Callable[[int, int], None]
Watcher = Callable[[Model, Query, Found, Hold], None]


def ignore(model: Model, query: Query, found: Found, hold: Hold) -> None:
    """Do nothing about what was found."""


class Batcher:
    """Joins searches.

    Parameters
    ----------
    pool : WorkPool
        Whose threads search what takes long. It counts the requests already.
    rows : int
        Most queries of a batch.
    wait_s : float, default=0.0
        Seconds that a request which finds nobody searching waits for company.
    on_batch : callable, optional
        Told the requests and the queries of each batch.
    on_candidates : callable, optional
        Told for each batch which share of the rows a query was compared with exactly.
    on_found : callable, optional
        Told what each request found, before it goes on.
    short_s : float, default=SHORT_S
        Searches up to this long are done in the event loop's thread; 0 does none there.
    max_wait_s : float, optional
        Seconds that the first of many may have waited, for one more to be let in.

    Notes
    -----
    All methods belong to the event loop's thread.
    """

    def __init__(
        self,
        pool: WorkPool,
        rows: int,
        wait_s: float = 0.0,
        on_batch: Observer = lambda requests, rows: None,
        *,
        on_candidates: Callable[[float], None] = lambda share: None,
        on_found: Watcher = ignore,
        short_s: float = SHORT_S,
        max_wait_s: float = math.inf,
    ) -> None:
        self._pool = pool
        self._rows = rows
        self._wait_s = wait_s
        self._on_batch = on_batch
        self._on_candidates = on_candidates
        self._on_found = on_found
        self._line: Line[Waiting] = Line(rows, _NEIGHBOURS)
        self._short_s = short_s
        self._max_wait_s = max_wait_s
        self._quickness: WeakKeyDictionary[Model, Quickness] = WeakKeyDictionary()
        self._is_searching = False
        self._due: asyncio.Handle | None = None

    def check_wait(self) -> None:
        """Refuse when those who wait have waited for long, and are many.

        Raises
        ------
        HTTPRefused
            With code ``overloaded``.
        """
        if len(self._line) < _MANY:
            return
        first = next((one for one in self._line if not one.taken), None)
        waited_s = 0.0 if first is None else time.perf_counter() - first.queued_s
        if waited_s > self._max_wait_s:
            raise HTTPRefused(
                "overloaded",
                f"Expected fewer requests at a time; {len(self._line)} are waiting already, the "
                f"first for {waited_s * 1e3:.0f} ms.",
            )

    async def find(
        self,
        model: Model,
        query: Query,
        timeout_s: float,
        *,
        hold: Hold = NO_HOLD,
        is_gone: Callable[[], bool] = lambda: False,
        is_alone: bool = False,
    ) -> tuple[Found, float, float]:
        """Return what a query finds, searching for it together with others.

        Parameters
        ----------
        model : Model
        query : Query
            Plain (`Query.is_plain`).
        timeout_s : float
            Seconds, waiting included.
        hold : Hold, optional
            Acquired until no search for the query runs any more.
        is_gone : callable, optional
            Whether the client has left; then it is not searched for.
        is_alone : bool, default=False
            Whether no other request has arrived, so that there is nobody to look around for.

        Returns
        -------
        found : Found
            The same as of a search for this query alone.
        waited_s, searched_s : float
            Seconds until its first batch began, and of all its batches.

        Raises
        ------
        HTTPRefused
            With code ``answer-timeout``.
        ClientGone
        """
        if is_alone and self._may_go_ahead(model, query):
            return self._find_here(model, query, hold)
        loop = asyncio.get_running_loop()
        one = Waiting(model, query, loop.create_future(), hold, is_gone)
        hold.acquire()
        self._line.add(one)
        self._call(loop)
        timer = loop.call_later(timeout_s, self._expire, one)
        try:
            return await one.future
        finally:
            timer.cancel()
            if one in self._line:  # cancelled, or too late
                self._leave(one)
            if one.is_in_batch:  # which goes on without it
                self._pool.in_batch -= 1

    def _may_go_ahead(self, model: Model, query: Query) -> bool:
        rows = len(query)
        return (
            not (self._line or self._is_searching or self._wait_s)
            and rows <= self._rows
            and rows * (query.n_neighbors or 1) <= _NEIGHBOURS
            and self._quickness_of(model).is_short(rows)
        )

    def _find_here(self, model: Model, query: Query, hold: Hold) -> tuple[Found, float, float]:
        scored = TALLY.scored
        begin = time.perf_counter()
        (found,) = find_each(model, [query])
        search_s = time.perf_counter() - begin
        self._quickness_of(model).observe(len(query), search_s)
        self._on_batch(1, len(query))
        if isinstance(found, BaseException):
            raise found
        self._on_candidates((TALLY.scored - scored) / (len(query) * model.n_samples))
        self._on_found(model, query, found, hold)
        return found, 0.0, search_s

    def _leave(self, one: Waiting) -> None:
        """Let a request go that is not to be searched for, or not any further."""
        self._line.drop(one)
        if not one.is_in_batch:
            one.hold.release()

    def _expire(self, one: Waiting) -> None:
        _fail(one, late())

    def _call(self, loop: asyncio.AbstractEventLoop) -> None:
        """See to it that a batch begins: after this round of the loop, which may bring others."""
        if self._is_searching:
            return
        if self._wait_s and self._line.rows < self._rows:
            if self._due is None:
                self._due = loop.call_later(self._wait_s, self._begin)
            return
        if self._due is None or self._wait_s:
            if self._due is not None:
                self._due.cancel()
            self._due = loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Take a batch and search for it, here or in a thread."""
        self._due = None
        if self._is_searching:
            return
        for one in [one for one in self._line if one.is_gone()]:
            self._leave(one)
            _fail(one, ClientGone())
        parts = self._line.take()
        if not parts:
            return
        rows = 0
        self._pool.in_batch = len(parts)
        for part in parts:
            part.ticket.is_in_batch = True
            rows += part.last - part.first
        self._on_batch(len(parts), rows)
        search = Search(parts)
        quickness = self._quickness_of(parts[0].ticket.model)
        if quickness.is_short(rows):
            search.run()
            quickness.observe(rows, search.seconds)
            self._end(search)
            return
        self._is_searching = True

        def end(job: asyncio.Future[None]) -> None:
            self._is_searching = False
            quickness.observe_thread(rows, search.seconds, search.own_s)
            self._end(search)

        self._pool.start(search.run_in_thread).add_done_callback(end)

    def _quickness_of(self, model: Model) -> Quickness:
        known = self._quickness.get(model)
        if known is None:
            known = self._quickness[model] = Quickness(self._short_s)
        return known

    def _end(self, search: Search) -> None:
        """Hand out what was found, and go on with who is still waiting."""
        self._pool.in_batch = 0
        self._on_candidates(search.candidate_share)
        for part, found in zip(search.parts, search.found, strict=True):
            one = part.ticket
            one.is_in_batch = False
            if one.wait_s < 0:
                one.wait_s = search.began_s - one.queued_s
            one.search_s += search.seconds
            if isinstance(found, BaseException):
                _fail(one, found)
            else:
                one.found.append(found)
                if part.last == one.rows and not one.future.done():
                    whole = joined(one.found)
                    self._on_found(one.model, one.query, whole, one.hold)
                    one.future.set_result((whole, one.wait_s, one.search_s))
            if one.future.done():
                self._line.drop(one)
            if one not in self._line:
                one.hold.release()
        if len(self._line):
            self._due = asyncio.get_running_loop().call_soon(self._begin)


def _fail(one: Waiting, error: BaseException) -> None:
    if not one.future.done():
        one.future.set_exception(error)
