"""Work that nobody waits for: it is done in turn, or dropped, and never in the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kneighbors.server.spare import SpareTime

PATIENCE_S = 20


def test_what_does_not_fit_is_dropped_and_the_rest_is_done() -> None:
    spare = SpareTime(queued=2, rest=0)
    began, gate, done = threading.Event(), threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        began.set()
        gate.wait(PATIENCE_S)

    assert spare.offer(hold)
    assert began.wait(PATIENCE_S)
    assert [True, True, False] == [spare.offer(done.release) for _ in range(3)]
    gate.set()
    assert done.acquire(timeout=PATIENCE_S)
    assert done.acquire(timeout=PATIENCE_S)
    assert not done.acquire(blocking=False)
    spare.stop()


def test_steps_are_taken_between_other_work_until_they_end() -> None:
    spare = SpareTime(rest=0)
    taken: list[int] = []
    ended, asked = threading.Event(), threading.Event()

    def steps() -> Iterator[None]:
        for number in range(5):
            taken.append(number)
            yield
        ended.set()

    spare.take_up(steps())
    assert ended.wait(PATIENCE_S)
    assert [0, 1, 2, 3, 4] == taken
    assert spare.offer(asked.set)
    assert asked.wait(PATIENCE_S)
    spare.stop()


def test_what_was_taken_up_before_is_dropped() -> None:
    spare = SpareTime(rest=0)
    began, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def first() -> Iterator[None]:
        began.set()
        gate.wait(PATIENCE_S)
        yield
        raise AssertionError("a step of what was dropped")

    def second() -> Iterator[None]:
        yield
        ended.set()

    spare.take_up(first())
    assert began.wait(PATIENCE_S)
    spare.take_up(second())
    gate.set()
    assert ended.wait(PATIENCE_S)
    spare.stop()


def test_a_failure_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    spare = SpareTime(rest=0)
    done = threading.Event()

    def fail() -> None:
        raise RuntimeError("on purpose")

    spare.offer(fail)
    spare.offer(done.set)
    assert done.wait(PATIENCE_S)
    assert "on purpose" in caplog.text
    spare.stop()
