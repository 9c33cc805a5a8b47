"""Clients that each send a query as soon as the last one is answered."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from numpy.typing import NDArray

_HEAD = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-npy\r\n"
_ACCEPT = b"Accept: application/x-npy\r\n"


def requests_of(queries: NDArray[Any]) -> list[bytes]:
    """Return a whole request for each query, a float32 vector as `numpy.save` writes it."""
    width = queries.shape[1]
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({width},), }}".encode()
    start = b"\x93NUMPY\x01\x00v\x00" + header.ljust(117) + b"\n"
    bodies = [start + row.astype("<f4").tobytes() for row in queries]
    return [_HEAD + _ACCEPT + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies]


class _Client(asyncio.Protocol):
    def __init__(self, requests: list[bytes], first: int, until: float) -> None:
        self.requests, self.next, self.until = requests, first, until
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"The server closed the connection: {exc!r}"))

    def _send(self) -> None:
        self.start = time.perf_counter()
        self.transport.write(self.requests[self.next % len(self.requests)])
        self.next += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < length_of(head):
            return
        if b" 200 " not in head[:15]:
            raise RuntimeError(f"Expected 200, got {head[:60]!r} and {body[:200]!r}")
        self.buffer = b""
        now = time.perf_counter()
        self.times.append(now - self.start)
        if now < self.until:
            self._send()
        else:
            self.done.set_result(None)
            self.transport.close()


def length_of(head: bytes) -> int:
    """Return the length of an answer's body."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"Expected an answer of known length, got {head!r}")


def load(
    port: int, requests: list[bytes], clients: int, seconds: float
) -> tuple[float, list[float]]:
    """Ask for some seconds; return answers per second, and how long each took in seconds."""

    async def run() -> tuple[float, list[float]]:
        loop = asyncio.get_running_loop()
        start = time.perf_counter()
        stride = max(1, len(requests) // clients)
        made = [
            loop.create_connection(
                lambda first=number * stride: _Client(requests, first, start + seconds),  # type: ignore[misc]
                "127.0.0.1",
                port,
            )
            for number in range(clients)
        ]
        protocols = [pair[1] for pair in await asyncio.gather(*made)]
        await asyncio.gather(*(one.done for one in protocols))
        times = [passed for one in protocols for passed in one.times]
        return len(times) / (time.perf_counter() - start), times

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
