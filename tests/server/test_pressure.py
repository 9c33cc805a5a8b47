"""A loop that stays late takes no more work in a round, and says so at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from kneighbors.server.framing import Head, is_kept_by, may_be_shed
from kneighbors.server.pressure import Pressure


async def _rounds(pressure: Pressure, seconds: list[float]) -> bool:
    """Keep the loop busy for so long, round by round; tell how the last one felt within."""
    pressure.start()
    felt = False
    for one in seconds:
        await asyncio.sleep(0)
        until = time.monotonic() + one
        while time.monotonic() < until:
            felt = pressure.is_high
    return felt


@pytest.mark.parametrize(
    ("seconds", "in_flight", "expected"),
    [
        ([0.1] * 8, 100, True),
        ([0.1] * 8, 3, False),
        ([0.2], 100, False),
    ],
)
def test_it_takes_long_rounds_and_many_requests(
    seconds: list[float], in_flight: int, expected: bool
) -> None:
    pressure = Pressure(range(in_flight))
    assert expected is asyncio.run(_rounds(pressure, seconds))


def test_it_is_over_with_the_first_short_round() -> None:
    async def run() -> bool:
        pressure = Pressure(range(100))
        await _rounds(pressure, [0.1] * 8)
        while pressure.is_late:
            await asyncio.sleep(0.005)
        return pressure.is_high

    assert not asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "is_shed", "is_kept"),
    [
        (b"POST /invocations HTTP/1.1\r\nHost: a\r\n\r\n", True, True),
        (b"POST /invocations HTTP/1.1\r\nHost: a\r\nconnection: close\r\n\r\n", True, False),
        (b"POST /invocations HTTP/1.0\r\nX: 1 HTTP/1.1\r\n\r\n", True, False),
        (b"POST /ping HTTP/1.1\r\nHost: a\r\n\r\n", False, True),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", False, True),
    ],
)
def test_queries_are_refused_and_pings_are_not(text: bytes, is_shed: bool, is_kept: bool) -> None:
    head = Head(text.partition(b" ")[0], text, has_body=True)
    assert (is_shed, is_kept) == (may_be_shed(head), is_kept_by(head))
