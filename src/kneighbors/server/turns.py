"""Who is searched for next, and with whom: requests in a line, taken by turns.

A batch is for one group, such as the requests to one model. Whoever is first in line is always in
the next batch, so nobody waits for ever. Nobody takes it all while others wait: a request of many
queries is cut into pieces, and after each it goes to the end of the line.

It knows no threads and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(slots=True, eq=False)
class Ticket:
    """The place of one request.

    Parameters
    ----------
    group : object
        Only tickets of the same group, by identity, share a batch.
    rows : int
        Queries, at least one.
    width : int
        Neighbours of each.

    Attributes
    ----------
    taken : int
        Queries that are in a batch, or have been.
    """

    group: object
    rows: int
    width: int
    taken: int = 0


T = TypeVar("T", bound=Ticket)


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """What a batch has of one request: its queries from `first` up to `last`."""

    ticket: T
    first: int
    last: int


class Line(Generic[T]):
    """Tickets in the order of their turns.

    Parameters
    ----------
    rows : int
        Most queries of a batch.
    neighbors : int
        Most neighbours that a batch asks for, unless a single query asks for more.

    Examples
    --------
    >>> line = Line(8, 1000)
    >>> large, small = Ticket("wines", 20, 10), Ticket("wines", 1, 10)
    >>> line.add(large)
    >>> [(part.first, part.last) for part in line.take()]
    [(0, 8)]
    >>> line.add(small)
    >>> [(part.ticket is small, part.first, part.last) for part in line.take()]
    [(False, 8, 12), (True, 0, 1)]
    """

    def __init__(self, rows: int, neighbors: int) -> None:
        self._rows = rows
        self._neighbors = neighbors
        self._tickets: dict[T, None] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    def __iter__(self) -> Iterator[T]:
        return iter(self._tickets)

    def __contains__(self, ticket: T) -> bool:
        return ticket in self._tickets

    @property
    def rows(self) -> int:
        """Queries that wait."""
        return sum(ticket.rows - ticket.taken for ticket in self._tickets)

    def add(self, ticket: T) -> None:
        """Let a request stand at the end."""
        self._tickets[ticket] = None

    def drop(self, ticket: T) -> None:
        """Forget a request that needs no turn any more, if it is in the line."""
        self._tickets.pop(ticket, None)

    def take(self) -> list[Part[T]]:
        """Return the next batch; empty if nobody waits."""
        if not self._tickets:
            return []
        group = next(iter(self._tickets)).group
        those = [ticket for ticket in self._tickets if ticket.group is group]
        # Alone, a request fills the batch. In company a quarter has to do: the others would wait
        # for the rest.
        share = max(1, self._rows // min(len(those), 4))
        parts: list[Part[T]] = []
        rows, neighbors = self._rows, self._neighbors
        for ticket in those:
            count = min(share, rows, ticket.rows - ticket.taken, neighbors // ticket.width)
            if count < 1 and parts:
                break
            count = max(1, count)
            parts.append(self._cut(ticket, count))
            rows -= count
            neighbors -= count * ticket.width
            if rows < 1:
                break
        return parts

    def _cut(self, ticket: T, count: int) -> Part[T]:
        first, ticket.taken = ticket.taken, ticket.taken + count
        del self._tickets[ticket]
        if ticket.taken < ticket.rows:
            self._tickets[ticket] = None
        return Part(ticket, first, ticket.taken)
