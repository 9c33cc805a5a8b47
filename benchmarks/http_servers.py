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
import importlib.metadata
import importlib.util
import json
import os
import statistics
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from closed_loop import load, requests_of
from processes import free_port, pss_mib, served
from strictness import ROWS, strictness

ROUNDS = 5
ALONE = 300  # requests of one sequential client, per round
CLIENTS = 32
LOAD_S = 2.0

# The handler: one product with a head of a 180,000-row corpus and a search for the best ten.


def _work() -> Callable[[bytes], bytes]:
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


# Measuring.


def measure(names: list[str]) -> dict[str, dict[str, Any]]:
    """Run the rounds, interleaved; memory and strictness in the first."""
    requests = requests_of(np.random.default_rng(1).standard_normal((64, 300)))
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    rounds: dict[str, dict[str, list[float]]] = {
        name: {"start_s": [], "alone_ms": [], "requests_per_s": []} for name in names
    }
    for number in range(ROUNDS):
        # Every round begins with another one, so that none is always first or last.
        turn = number * len(names) // ROUNDS
        for name in names[turn:] + names[:turn]:
            port = free_port()
            variables = {"OPENBLAS_NUM_THREADS": "1"}
            with served(CANDIDATES[name][1](port), port, variables) as server:
                load(port, requests, 8, 0.5)  # warm-up
                alone = load(port, requests, 1, LOAD_S / 3)[1]
                rate, _ = load(port, requests, CLIENTS, LOAD_S)
                rounds[name]["start_s"].append(server.start_s)
                rounds[name]["alone_ms"].append(statistics.median(alone) * 1e3)
                rounds[name]["requests_per_s"].append(rate)
                if number == 0:
                    found[name] = {"pss_mib": pss_mib(server.pid), **strictness(port)}
    for name, figures in rounds.items():
        found[name] |= {key: statistics.median(values) for key, values in figures.items()}
    return found


def main() -> None:
    """Measure, print the table, print the JSON line."""
    names = sys.argv[1:] or [n for n, (m, _) in CANDIDATES.items() if _is_installed(m)]
    found = measure(names)
    columns = ["server", "start, s", "alone, ms", f"{CLIENTS} clients, 1/s", "PSS, MiB"]
    columns += ["rows passed", "header drip", "body drip"]
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for name, f in found.items():
        print(
            f"| {name} | {f['start_s']:.2f} | {f['alone_ms']:.2f} | {f['requests_per_s']:.0f} "
            f"| {f['pss_mib']:.0f} | {f['rows_passed']}/{len(ROWS)} | {f['header_drip']} "
            f"| {f['body_drip']} |"
        )
    packages = ("uvicorn", "gunicorn", "granian", "hypercorn", "httptools", "uvloop")
    print(
        json.dumps(
            {
                "figures": found,
                "versions": {
                    p: importlib.metadata.version(p) for p in packages if _is_installed(p)
                },
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
