"""Compare HTTP servers for the endpoint: speed, start-up, memory, strictness, deadlines.

Every candidate serves one handler that does what a query costs, two workers each, on this
machine's loopback; the rounds are interleaved, so that a busy moment hits all of them. Run::

    python benchmarks/http_servers.py             # all candidates that are installed
    python benchmarks/http_servers.py ours granian

Needs, beside the package with its extra ``serve``: ``granian``, ``hypercorn``, ``uvicorn-worker``.
The last line is JSON with the figures, the versions and the processor; the table above it is what
`docs/decisions/0003-http-server.md` shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROUNDS = 5
ALONE = 300  # requests of one sequential client, per round
CLIENTS = 32
LOAD_S = 2.0
DRIP_S = 8.0  # how long a dripping connection is watched

# The handler: one product with a head of a 180,000-row corpus and a search for the best ten.


def _work() -> Callable[[bytes], bytes]:
    import numpy as np

    rng = np.random.default_rng(0)
    head = rng.standard_normal((180_000, 16), dtype=np.float32)

    def answer(body: bytes) -> bytes:
        query = np.frombuffer(body, dtype=np.float32, offset=128)[:16]
        scores = head @ query
        best = np.argpartition(scores, -10)[-10:]
        return best.astype(np.float64).tobytes() + scores[best].astype(np.float64).tobytes()

    return answer


_ANSWER: list[Callable[[bytes], bytes]] = []
_LOCK = threading.Lock()


def _answer(body: bytes) -> bytes:
    with _LOCK:  # one head a process, whichever thread is first
        if not _ANSWER:
            _ANSWER.append(_work())
    return _ANSWER[0](body)


_POOL: list[ThreadPoolExecutor] = []


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer a query in a thread, and an empty 200 to anything else."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if not _POOL:
        _POOL.append(ThreadPoolExecutor(2))
    reply = b""
    if scope["path"] == "/invocations" and len(body) > 128:
        reply = await asyncio.get_running_loop().run_in_executor(_POOL[0], _answer, body)
    headers = [(b"content-length", b"%d" % len(reply)), (b"content-type", b"application/x-npy")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": reply})


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Do the same in a WSGI server's own thread."""
    body = environ["wsgi.input"].read()
    is_query = environ["PATH_INFO"] == "/invocations" and len(body) > 128
    reply = _answer(body) if is_query else b""
    start_response("200 OK", [("content-length", str(len(reply)))])
    return [reply]


def ours(port: int) -> None:
    """Serve the same handler with the package's own arbiter, worker and protocol."""
    from kneighbors.server.run import serve_app
    from kneighbors.server.settings import Settings

    settings = Settings(
        port=port, workers=2, header_timeout_s=3.0, body_timeout_s=3.0, max_connections=2000
    )
    raise SystemExit(serve_app(lambda _settings, _slot: asgi, settings))


PY = sys.executable
APP = "http_servers"
CANDIDATES: dict[str, tuple[str, Callable[[int], list[str]]]] = {
    "uvicorn": (
        "uvicorn",
        lambda port: [
            *(PY, "-m", "uvicorn", f"{APP}:asgi", "--port", str(port), "--workers", "2"),
            *("--http", "httptools", "--loop", "uvloop", "--no-access-log"),
            *("--log-level", "critical"),
        ],
    ),
    "gunicorn + uvicorn worker": (
        "uvicorn_worker",
        lambda port: [
            *(PY, "-m", "gunicorn", f"{APP}:asgi", "-b", f"127.0.0.1:{port}", "-w", "2"),
            *("-k", "uvicorn_worker.UvicornWorker", "--log-level", "critical"),
        ],
    ),
    "gunicorn, its ASGI worker": (
        "gunicorn.asgi",
        lambda port: [
            *(PY, "-m", "gunicorn", f"{APP}:asgi", "-b", f"127.0.0.1:{port}", "-w", "2"),
            *("-k", "asgi", "--log-level", "critical", "--no-control-socket"),
        ],
    ),
    "gunicorn gthread (WSGI)": (
        "gunicorn",
        lambda port: [
            *(PY, "-m", "gunicorn", f"{APP}:wsgi", "-b", f"127.0.0.1:{port}", "-w", "2"),
            *("-k", "gthread", "--threads", "16", "--log-level", "critical"),
        ],
    ),
    "granian": (
        "granian",
        lambda port: [
            *(PY, "-m", "granian", f"{APP}:asgi", "--interface", "asgi", "--port", str(port)),
            *("--workers", "2", "--http", "1", "--http1-header-read-timeout", "3000"),
            *("--loop", "uvloop", "--no-log"),
        ],
    ),
    "hypercorn": (
        "hypercorn",
        lambda port: [
            *(PY, "-m", "hypercorn", f"{APP}:asgi", "-b", f"127.0.0.1:{port}", "-w", "2"),
            *("-k", "uvloop", "--read-timeout", "3", "--log-level", "critical"),
        ],
    ),
    "ours": (
        "kneighbors.server.run",
        lambda port: [PY, "-c", f"import {APP}; {APP}.ours({port})"],
    ),
}


# What a strict server must answer.

_POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
ROWS: list[tuple[str, bytes, int]] = [
    (
        "length and chunked",
        _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("length 3,3", _POST + b"Content-Length: 3,3\r\n\r\nabc", 400),
    ("bare line feeds", b"GET /ping HTTP/1.1\nHost: a\n\n", 400),
    ("no Host", b"GET /ping HTTP/1.1\r\n\r\n", 400),
    ("chunk extension of 20 KB", _CHUNKED + b"3;" + b"a" * 20_000 + b"\r\nabc\r\n0\r\n\r\n", 400),
    (
        "header of 100 KB",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        431,
    ),
    (
        "1,000 headers",
        b"GET /ping HTTP/1.1\r\nHost: a\r\n"
        + b"".join(b"X-%d: 1\r\n" % i for i in range(1000))
        + b"\r\n",
        431,
    ),
    ("URL of 100 KB", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("TE xchunked", _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("two lengths", _POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ("length +3", _POST + b"Content-Length: +3\r\n\r\nabc", 400),
    ("length -1", _POST + b"Content-Length: -1\r\n\r\n", 400),
    ("length 10^30", _POST + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n", 400),
    ("length of 5,000 digits", _POST + b"Content-Length: " + b"1" * 5000 + b"\r\n\r\n", 400),
    ("length 3_0", _POST + b"Content-Length: 3_0\r\n\r\nabc", 400),
    ("space before colon", b"GET /ping HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("NUL in a header", b"GET /ping HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
    ("chunk size 0x3", _CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    ("bad end of a chunk", _CHUNKED + b"3\r\nabcXX0\r\n\r\n", 400),
    ("TLS bytes", bytes.fromhex("1603010200010001fc0303") + b"\x00" * 300, 400),
]


def status_of(port: int, request: bytes) -> int | None:
    """Send raw bytes; return the status, or None when the connection just closes or hangs."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
        with contextlib.suppress(OSError):
            s.sendall(request)
        try:
            line = s.recv(4096).split(b"\r\n")[0].split(b" ")
        except OSError:
            return None
    return int(line[1]) if len(line) > 1 and line[1].isdigit() else None


def drip(port: int, head: bytes) -> str:
    """Send one byte every half second; return what the server did about it, and when."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as s:
        s.sendall(head)
        while (passed := time.monotonic() - start) < DRIP_S:
            try:
                data = s.recv(4096)
            except TimeoutError:
                with contextlib.suppress(OSError):
                    s.sendall(b"a")
                continue
            except OSError:
                data = b""
            status = data.split(b" ")[1].decode() if data.startswith(b"HTTP/") else "closed"
            return f"{status} after {passed:.0f} s"
    return "open"


def strictness(port: int) -> dict[str, Any]:
    """Try every row of the table, and both drips at once."""
    heads = (b"GET /ping HTTP/1.1\r\nHost: a\r\nX-", _POST + b"Content-Length: 99\r\n\r\n")
    with ThreadPoolExecutor(2) as pool:
        drips = [pool.submit(drip, port, head) for head in heads]
        passed = {name: status_of(port, request) == want for name, request, want in ROWS}
    return {
        "rows_passed": sum(passed.values()),
        "rows_failed": [name for name, good in passed.items() if not good],
        "header_drip": drips[0].result(),
        "body_drip": drips[1].result(),
    }


# Speed.


def _query() -> bytes:
    head = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (300,), }"
    body = head.ljust(127) + b"\n" + b"\x00\x00\x80\x3f" * 300
    return (
        _POST + b"Content-Type: application/x-npy\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


class Client(asyncio.Protocol):
    """Send a query as soon as the last one is answered, and keep the times."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.times: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.query = _query()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"The server closed the connection: {exc!r}"))

    def _send(self) -> None:
        self.start = time.perf_counter()
        self.transport.write(self.query)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < 160:
            return
        if b" 200 " not in head[:15]:
            raise RuntimeError(f"Expected 200, got {head!r}")
        self.buffer = b""
        now = time.perf_counter()
        self.times.append(now - self.start)
        if now < self.until:
            self._send()
        else:
            self.done.set_result(None)
            self.transport.close()


def load(port: int, clients: int, seconds: float) -> tuple[float, list[float]]:
    """Return requests per second and the latencies in seconds of a closed loop."""

    async def run() -> tuple[float, list[float]]:
        loop = asyncio.get_running_loop()
        start = time.perf_counter()
        made: list[Awaitable[Any]] = [
            loop.create_connection(lambda: Client(start + seconds), "127.0.0.1", port)
            for _ in range(clients)
        ]
        protocols = [pair[1] for pair in await asyncio.gather(*made)]
        await asyncio.gather(*(p.done for p in protocols))
        times = [t for p in protocols for t in p.times]
        return len(times) / (time.perf_counter() - start), times

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


# Processes.


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def pss_mib(pid: int) -> float:
    """Sum the proportional set sizes of a process tree."""
    total = 0
    for member in tree(pid):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


@dataclass
class Candidate:
    """One server that runs, and what was measured of it."""

    name: str
    command: Callable[[int], list[str]]
    port: int = field(default_factory=free_port)
    figures: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(HERE), "OPENBLAS_NUM_THREADS": "1"}
        start = time.perf_counter()
        self.process = subprocess.Popen(
            self.command(self.port), env=environment, stdout=subprocess.DEVNULL, cwd=HERE
        )
        ping = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        while True:
            with contextlib.suppress(OSError):
                if status_of(self.port, ping) == 200:
                    break
            if self.process.poll() is not None or time.perf_counter() - start > 30:
                raise RuntimeError(f"{self.name} did not start")
            time.sleep(0.005)
        self.figures.setdefault("start_s", []).append(time.perf_counter() - start)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def measure(candidates: list[Candidate]) -> None:
    """Run the rounds, interleaved; then memory and strictness."""
    for number in range(ROUNDS):
        # Every round begins with another one, so that none is always first or last.
        turn = number * len(candidates) // ROUNDS
        for c in candidates[turn:] + candidates[:turn]:
            c.start()
            load(c.port, 8, 0.5)  # warm-up
            alone = load(c.port, 1, LOAD_S / 3)[1]
            rate, _ = load(c.port, CLIENTS, LOAD_S)
            c.figures.setdefault("alone_ms", []).append(statistics.median(alone) * 1e3)
            c.figures.setdefault("requests_per_s", []).append(rate)
            if number == 0:
                c.figures["pss_mib"] = pss_mib(c.process.pid)
                c.figures |= strictness(c.port)
            c.stop()
    for c in candidates:
        for name in ("start_s", "alone_ms", "requests_per_s"):
            c.figures[name] = statistics.median(c.figures[name])


def main() -> None:
    """Measure, print the table, print the JSON line."""
    names = sys.argv[1:] or [n for n, (m, _) in CANDIDATES.items() if _is_installed(m)]
    candidates = [Candidate(name, CANDIDATES[name][1]) for name in names]
    measure(candidates)
    columns = ["server", "start, s", "alone, ms", f"{CLIENTS} clients, 1/s", "PSS, MiB"]
    columns += ["rows passed", "header drip", "body drip"]
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for c in candidates:
        f = c.figures
        print(
            f"| {c.name} | {f['start_s']:.2f} | {f['alone_ms']:.2f} | {f['requests_per_s']:.0f} "
            f"| {f['pss_mib']:.0f} | {f['rows_passed']}/{len(ROWS)} | {f['header_drip']} "
            f"| {f['body_drip']} |"
        )
    packages = ("uvicorn", "gunicorn", "granian", "hypercorn", "httptools", "uvloop")
    print(
        json.dumps(
            {
                "figures": {c.name: c.figures for c in candidates},
                "versions": {p: importlib.metadata.version(p) for p in packages},
                "python": sys.version.split()[0],
                "cores": os.cpu_count(),
            }
        )
    )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


if __name__ == "__main__":
    main()
