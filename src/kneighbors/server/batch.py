"""One batch: the requests that share it, and their search."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Found, Query
from kneighbors.search.tally import TALLY
from kneighbors.server.joining import find_each
from kneighbors.server.turns import Part, Ticket
from kneighbors.server.workpool import Hold


class Waiting(Ticket):
    """A request in the line, and what has been found for it so far.

    Parameters
    ----------
    model : Model
    query : Query
    future : Future
        Of what is found, and of the seconds of waiting and of searching.
    hold : Hold
    is_gone : callable
        Whether the client has left.
    """

    __slots__ = (
        *("found", "future", "hold", "is_gone", "is_in_batch"),
        *("model", "query", "queued_s", "search_s", "wait_s"),
    )

    def __init__(
        self,
        model: Model,
        query: Query,
        future: asyncio.Future[tuple[Found, float, float]],
        hold: Hold,
        is_gone: Callable[[], bool],
    ) -> None:
        super().__init__(model, len(query), query.n_neighbors or 1)
        self.model = model
        self.query = query
        self.future = future
        self.hold = hold
        self.is_gone = is_gone
        self.is_in_batch = False
        self.found: list[Found] = []
        self.queued_s = time.perf_counter()
        self.wait_s, self.search_s = -1.0, 0.0


class Search:
    """One batch."""

    def __init__(self, parts: list[Part[Waiting]]) -> None:
        self.parts = parts
        self.found: list[Found | BaseException] = []
        self.began_s = self.seconds = self.own_s = self.candidate_share = 0.0

    def run(self) -> None:
        """Search; what goes wrong is found in place of neighbours."""
        model = self.parts[0].ticket.model
        queries = [_query_of(one) for one in self.parts]
        scored = TALLY.scored
        self.began_s = time.perf_counter()
        try:
            self.found = find_each(model, queries)
        except BaseException as error:
            self.found = [error] * len(self.parts)
        self.seconds = time.perf_counter() - self.began_s
        rows = sum(map(len, queries))
        self.candidate_share = (TALLY.scored - scored) / (rows * model.n_samples)

    def run_in_thread(self) -> None:
        """Search, and note how much of the time was on a processor."""
        own_s = time.thread_time()
        self.run()
        self.own_s = time.thread_time() - own_s


def _query_of(part: Part[Waiting]) -> Query:
    query = part.ticket.query
    is_whole = part.last - part.first == len(query)
    return query if is_whole else query.part(slice(part.first, part.last))
