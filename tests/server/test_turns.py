"""Turns: nobody is forgotten, nobody waits for ever, and no batch is too large."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kneighbors.server.turns import Line, Part, Ticket

ROWS, NEIGHBOURS = 16, 200


def places(parts: list[Part[Ticket]]) -> list[tuple[Any, int, int]]:
    return [(part.ticket.group, part.first, part.last) for part in parts]


class Turns(RuleBasedStateMachine):
    """Requests come, leave and get turns in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.line: Line[Ticket] = Line(ROWS, NEIGHBOURS)
        self.waiting: dict[Ticket, int] = {}  # and how many must have their turn before, at most

    @rule(
        group=st.sampled_from(["a", "b"]),
        rows=st.integers(1, 60),
        width=st.sampled_from([1, 10, 500]),
    )
    def come(self, group: str, rows: int, width: int) -> None:
        ticket = Ticket(group, rows, width)
        self.line.add(ticket)
        self.waiting[ticket] = len(self.line)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(list(self.waiting)))
        self.line.drop(ticket)
        del self.waiting[ticket]
        assert ticket not in self.line

    @rule()
    def take(self) -> None:
        first = next(iter(self.line), None)
        before = {ticket: ticket.taken for ticket in self.waiting}
        parts = self.line.take()
        assert (first is None) == (not parts)
        if first is None:
            return
        assert parts[0].ticket is first
        assert {first.group} == {part.ticket.group for part in parts}
        assert len(parts) == len({part.ticket for part in parts})
        assert sum(part.last - part.first for part in parts) <= ROWS
        asked = sum((part.last - part.first) * part.ticket.width for part in parts)
        assert asked <= NEIGHBOURS or [1] == [part.last - part.first for part in parts]
        for part in parts:
            assert before[part.ticket] == part.first < part.last <= part.ticket.rows
            assert part.last == part.ticket.taken
            assert (part.last < part.ticket.rows) == (part.ticket in self.line)
        turned = {part.ticket for part in parts}
        for ticket in list(self.waiting):
            if ticket in turned:
                self.waiting[ticket] = len(self.line)
                if ticket not in self.line:
                    del self.waiting[ticket]
            else:
                self.waiting[ticket] -= 1
                assert self.waiting[ticket] > 0  # or it would have been passed over

    @invariant()
    def all_that_came_are_in_the_line(self) -> None:
        assert set(self.waiting) == set(self.line)
        assert len(self.waiting) == len(self.line)
        assert sum(ticket.rows - ticket.taken for ticket in self.waiting) == self.line.rows


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_those_who_wait_together_share_a_batch() -> None:
    line: Line[Ticket] = Line(ROWS, NEIGHBOURS)
    for name in "xyz":
        line.add(Ticket("wines", 1, 10 + ord(name) % 3))
    assert [("wines", 0, 1)] * 3 == places(line.take())
    assert 0 == len(line)


def test_a_large_request_fills_the_batch_alone_and_a_quarter_in_company() -> None:
    line: Line[Ticket] = Line(ROWS, NEIGHBOURS)
    large = Ticket("large", 100, 1)
    line.add(large)
    assert [("large", 0, 16)] == places(line.take())
    for _ in range(5):
        line.add(Ticket("large", 1, 1))
    parts = line.take()
    assert [(16, 20)] == [(part.first, part.last) for part in parts if part.ticket is large]
    assert 6 == len(parts)


def test_a_query_of_more_neighbours_than_a_batch_may_ask_for_is_alone_in_it() -> None:
    line: Line[Ticket] = Line(ROWS, NEIGHBOURS)
    line.add(Ticket("wide", 2, 500))
    line.add(Ticket("wide", 1, 1))
    assert [("wide", 0, 1)] == places(line.take())
    assert [("wide", 0, 1)] == places(line.take())
    assert [("wide", 1, 2)] == places(line.take())


def test_another_group_has_a_batch_of_its_own() -> None:
    line: Line[Ticket] = Line(ROWS, NEIGHBOURS)
    for group in ("a", "b", "a"):
        line.add(Ticket(group, 1, 1))
    assert [("a", 0, 1), ("a", 0, 1)] == places(line.take())
    assert [("b", 0, 1)] == places(line.take())
