"""Ask for twice of what the server can do, and hold thousands of connections that do nothing.

    python benchmarks/overload.py                      # the long form: 60 s of overload
    python benchmarks/overload.py --rows 20000 --seconds 10 --dry-run

The top rate is that of 32 clients that each wait for their answers. Then requests come at fixed
times, whether the server keeps up or not, on as many connections as that takes:

    quiet        half of the top rate
    overload     twice the top rate; a process of its own pings every 50 ms meanwhile
    after        half of the top rate again, ten seconds later
    held         half of the top rate, beside connections that say nothing (`--idle`) and others
                 that send a byte of a head every half second (`--dripping`), which come back when
                 the server lets them go; in turn with the same load without them

Times run from when a request was due. The load shares the cores with the server. One JSON line is
appended to `benchmarks/results/overload.jsonl`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from closed_loop import length_of, load
from comparison import quantiles
from corpora import make
from http_load import Scene, scene
from processes import free_port, served
from results import append

#: Connections of the load at most: as many as one process can hold open easily.
_CONNECTIONS = 3000
_SETTLE_S = 10.0
_PING_EVERY_S = 0.05
_DRIP_EVERY_S = 0.5
_PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass
class Found:
    """Seconds from when requests were due to their answers, by what these were.

    `late` is by how much the load's own program sent them late.
    """

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    lost: int = 0
    other: dict[int, int] = field(default_factory=dict)

    def figures(self, name: str) -> dict[str, Any]:
        """Return quantiles and counts."""
        said: dict[str, Any] = {f"{name}_lost": self.lost, f"{name}_other": self.other}
        for kind, times in (("answered", self.answered), ("refused", self.refused)):
            said[f"{name}_{kind}"] = len(times)
            if times:
                said |= quantiles(f"{name}_{kind}", times, 1)
                said[f"{name}_{kind}_most_ms"] = round(max(times) * 1e3, 2)
        return said | quantiles(f"{name}_late", self.late or [0.0], 1)


class _Connection(asyncio.Protocol):
    def __init__(self, found: Found, free: list[_Connection]) -> None:
        self.found, self.free = found, free
        self.due: float | None = None
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.free:
            self.free.remove(self)
        if self.due is not None:
            self.found.lost += 1
            self.due = None

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self.found.late.append(time.perf_counter() - due)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < length_of(head) or self.due is None:
            return
        took, self.due, self.buffer = time.perf_counter() - self.due, None, b""
        status = int(head[9:12])
        if status in (200, 503):
            (self.found.answered if status == 200 else self.found.refused).append(took)
        else:
            self.found.other[status] = self.found.other.get(status, 0) + 1
        if b"connection: close" not in head:
            self.free.append(self)


async def _send(port: int, requests: list[bytes], rate: float, seconds: float) -> Found:
    found, free = Found(), list[_Connection]()
    loop = asyncio.get_running_loop()
    gaps = np.random.default_rng(3).exponential(1 / rate, max(1, round(rate * seconds)))
    start = time.perf_counter() + 0.1
    opened = 0
    tasks = set()

    async def open_(request: bytes, due: float) -> None:
        try:
            _, one = await loop.create_connection(
                lambda: _Connection(found, free), "127.0.0.1", port
            )
        except OSError:
            found.lost += 1
            return
        one.send(request, due)

    for number, at in enumerate(np.cumsum(gaps).tolist()):
        if (left := start + at - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        request = requests[number % len(requests)]
        if free:
            free.pop().send(request, start + at)
        elif opened < _CONNECTIONS:
            opened += 1
            task = loop.create_task(open_(request, start + at))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            found.lost += 1
    deadline = time.perf_counter() + _SETTLE_S
    while time.perf_counter() < deadline:
        done = len(found.answered) + len(found.refused) + found.lost + sum(found.other.values())
        if done >= len(gaps):
            break
        await asyncio.sleep(0.01)
    return found


def send(port: int, requests: list[bytes], rate: float, seconds: float) -> Found:
    """Send requests at so many a second on average; return what came of them."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_send(port, requests, rate, seconds))


async def _ping(port: int) -> None:
    """Ping until stdin ends, by turns on one connection and on fresh ones; print each time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    while not stop.done():
        for fresh in (False, True):
            begin = time.perf_counter()
            one = await asyncio.open_connection("127.0.0.1", port) if fresh else (reader, writer)
            one[1].write(_PING)
            head = await one[0].readuntil(b"\r\n\r\n")
            times.append(time.perf_counter() - begin if b" 200 " in head[:15] else float("inf"))
            if fresh:
                one[1].close()
            await asyncio.sleep(_PING_EVERY_S / 2)
    print(" ".join(map(str, times)))


async def _hold(port: int, idle: int, dripping: int) -> None:
    """Hold connections until stdin ends; print how often they were let go of."""
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    ends = 0

    async def hold(drips: bool) -> None:
        nonlocal ends
        while True:
            with suppress(OSError, TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(_PING if not drips else _PING[:-2] + b"X-")
                if not drips:
                    await reader.readuntil(b"\r\n\r\n")
                    await reader.read(1)
                while drips:
                    await asyncio.sleep(_DRIP_EVERY_S)
                    if reader.at_eof():
                        break
                    writer.write(b"a")
                writer.close()
            ends += 1

    tasks = [asyncio.ensure_future(hold(number >= idle)) for number in range(idle + dripping)]
    await stop
    for task in tasks:
        task.cancel()
    print(ends)


@contextmanager
def beside(*arguments: object) -> Iterator[list[float]]:
    """Run one of the two above as a process until the block ends; the list gets what it printed."""
    said: list[float] = []
    command = [sys.executable, __file__, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield said
        out, _ = process.communicate(timeout=60)
    said.extend(map(float, out.split()))


def overload(at: Scene, port: int, top: float, seconds: float) -> dict[str, Any]:
    """Measure before, during and after."""
    quiet_s = min(10.0, seconds)
    found = send(port, at.requests, top / 2, quiet_s).figures("quiet")
    with beside("--ping", port) as pings:
        found |= send(port, at.requests, 2 * top, seconds).figures("overload")
    found |= quantiles("overload_ping", pings, 1)
    found["overload_pings"], found["overload_ping_most_ms"] = len(pings), max(pings) * 1e3
    found["overload_pings_late"] = sum(ping > 0.2 for ping in pings)
    time.sleep(10.0)
    return found | send(port, at.requests, top / 2, quiet_s).figures("after")


def held(at: Scene, port: int, top: float, idle: int, dripping: int) -> dict[str, Any]:
    """Measure the same load with and without connections that do nothing, in turn."""
    with_, without = Found(), Found()
    ends = 0.0
    for _ in range(3):
        without.answered += send(port, at.requests, top / 2, 5.0).answered
        with beside("--hold", port, idle, dripping) as said:
            time.sleep(3.0)
            one = send(port, at.requests, top / 2, 5.0)
        with_.answered += one.answered
        with_.refused += one.refused
        with_.lost += one.lost
        ends += said[0]
    return {
        "held_idle": idle,
        "held_dripping": dripping,
        "held_let_go": ends,
        **with_.figures("held"),
        **without.figures("unheld"),
    }


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seconds", type=float, default=60, help="of overload")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--dripping", type=int, default=500)
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args()
    X = make("wines", options.rows)
    found: dict[str, Any] = {"load_average": os.getloadavg()[0]}
    with scene(X, options.seconds, options.workers) as at:
        port = free_port()
        with served(at.command(port), port):
            load(port, at.requests, 8, 1.0)
            top = statistics.median(load(port, at.requests, 32, 3.0)[0] for _ in range(3))
            found["top_per_s"] = round(top, 1)
            found |= overload(at, port, top, options.seconds)
            found |= held(at, port, top, options.idle, options.dripping)
    found["load_average_after"] = os.getloadavg()[0]
    for name, value in found.items():
        print(f"{name:34}{value}")
    if not options.dry_run:
        append("overload", {"corpus": "wines", "rows": X.shape[0], **found})


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sys.argv[1:2] == ["--ping"]:
        asyncio.run(_ping(int(sys.argv[2])))
    elif sys.argv[1:2] == ["--hold"]:
        asyncio.run(_hold(*map(int, sys.argv[2:5])))
    else:
        main()
