"""Requests that are due at fixed times, whether the server has kept up or not.

The times are drawn before the first request is sent, with exponential gaps, as those of many
clients that know nothing of each other. A request's latency runs from when it was due: where the
server stalls, those that should have been sent meanwhile count as late as they are, which a loop of
clients that wait for their answers would leave out (G. Tene calls that coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from closed_loop import length_of

#: Connections at most; a request that finds none free waits, and its latency runs.
_CONNECTIONS = 256
_SETTLE_S = 30.0


@dataclass
class Found:
    """What came of a load.

    Attributes
    ----------
    latencies : list of float
        Seconds from when a request was due to the last byte of its answer, of those answered 200.
    lateness : list of float
        Seconds by which each was sent too late though a connection was free: the fault of the
        load's own program.
    refused : dict of int to int
        How many were answered otherwise, by status; 0 stands for no answer.
    answers : list of tuple of float, float, int
        Of every request, in the order of their ends: seconds from the beginning to when it was
        due, from then to its answer, and its status.
    reasons : dict of str to int
        The codes that refusals gave for themselves; "none" where an answer had none.
    began_s : float
        When the load began, by `time.monotonic`.
    """

    latencies: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    answers: list[tuple[float, float, int]] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    began_s: float = 0.0

    def refuse(self, status: int) -> None:
        """Count an answer that is none."""
        self.refused[status] = self.refused.get(status, 0) + 1


class _Load:
    def __init__(self, port: int, requests: list[bytes], due: list[float]) -> None:
        self.port, self.requests, self.due = port, requests, due
        self.loop = asyncio.get_running_loop()
        self.found = Found()
        self.free: list[_Connection] = []
        self.opened = 0
        self.waiting: deque[int] = deque()
        self.left = set(range(len(due)))
        self.done = asyncio.Event()

    async def run(self) -> Found:
        for _ in range(min(_CONNECTIONS, 32)):
            await self._open()
        self.start = self.found.began_s = self.loop.time() + 0.05
        for number, at in enumerate(self.due):
            self.loop.call_at(self.start + at, self._due, number)
        try:
            await asyncio.wait_for(self.done.wait(), self.due[-1] + _SETTLE_S)
        except TimeoutError:
            for number in list(self.left):
                self.answered(number, 0)
        for connection in self.free:
            connection.transport.close()
        return self.found

    async def _open(self) -> None:
        self.opened += 1
        connection = _Connection(self)
        try:
            await self.loop.create_connection(lambda: connection, "127.0.0.1", self.port)
        except OSError:
            self.opened -= 1

    def _due(self, number: int) -> None:
        if self.free:
            self.found.lateness.append(self.loop.time() - self.start - self.due[number])
            self.free.pop().send(number)
            return
        self.waiting.append(number)
        if self.opened < _CONNECTIONS:
            self._opening = self.loop.create_task(self._open())

    def is_free(self, connection: _Connection) -> None:
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.free.append(connection)

    def answered(self, number: int, status: int) -> None:
        took = self.loop.time() - self.start - self.due[number]
        self.found.answers.append((self.due[number], took, status))
        if status == 200:
            self.found.latencies.append(took)
        else:
            self.found.refuse(status)
        self.left.discard(number)
        if not self.left:
            self.done.set()


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self.load = load
        self.number: int | None = None
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.load.is_free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.opened -= 1
        if self in self.load.free:
            self.load.free.remove(self)
        if self.number is not None:
            self.load.answered(self.number, 0)

    def send(self, number: int) -> None:
        self.number = number
        self.transport.write(self.load.requests[number % len(self.load.requests)])

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < length_of(head) or self.number is None:
            return
        number, self.number, self.buffer = self.number, None, b""
        status = int(head.split(b" ", 2)[1])
        if status != 200:
            reason = _code_of(body)
            self.load.found.reasons[reason] = self.load.found.reasons.get(reason, 0) + 1
        self.load.answered(number, status)
        if b"connection: close" not in head.lower():
            self.load.is_free(self)


def _code_of(body: bytes) -> str:
    """Return the code that a refusal gives for itself."""
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, LookupError, TypeError):
        return "none"


def load(port: int, requests: list[bytes], rate: float, seconds: float, seed: int = 0) -> Found:
    """Send requests at so many a second on average; return what came of them."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, max(1, round(rate * seconds)))
    due = np.cumsum(gaps).tolist()

    async def run() -> Found:
        return await _Load(port, requests, due).run()

    # select() waits for microseconds; epoll, and with it uvloop, for whole milliseconds.
    def make() -> asyncio.SelectorEventLoop:
        return asyncio.SelectorEventLoop(selectors.SelectSelector())

    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(run())
