"""What clients notice of new generations: latency under load, quiet and while a server swaps.

Appends one JSON line to `benchmarks/results/swap.jsonl`: requests that failed, percentiles of a
quiet phase and of one in which a new generation is published every few seconds, and the load of the
machine. Both phases have the same requests at the same times (`open_loop`).

    python benchmarks/swap.py --seconds 60 --rate 200 --rows 180000 --width 300
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import numpy as np
from corpora import make
from numpy.typing import NDArray
from open_loop import Found, load
from processes import served
from results import append

from kneighbors.artifact import save
from kneighbors.generations import history, publish
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

Array = NDArray[np.float32]


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase")
    parser.add_argument("--every", type=float, default=15.0, help="seconds between generations")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--rows", type=int, default=180_000)
    parser.add_argument("--width", type=int, default=300)
    parser.add_argument("--corpus", default="wines", help="of benchmarks/corpora.py")
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kneighbors-swap-") as folder:
        result = measure(Path(folder), options)
    print(json.dumps(result, indent=1))
    if not options.dry_run:
        append("swap", result)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return what came of a quiet phase and of one with swaps."""
    models, queries = _models(folder, options)
    place = folder / "place"
    publish(models[0], place)
    requests = [_request(row) for row in queries]
    port = _free_port()
    command = [
        *(sys.executable, "-m", "kneighbors", "serve", str(place)),
        *("--port", str(port), "--follow-seconds", "0.5"),
    ]
    before = os.getloadavg()[0]
    with served(command, port, {"PYTHONPATH": os.pathsep.join(sys.path)}) as server:
        load(server.port, requests, options.rate, 5.0)  # until it has learned how long things take
        quiet = load(server.port, requests, options.rate, options.seconds)
        over = threading.Event()
        publisher = threading.Thread(
            target=_publish, args=(models, place, options.every, over), daemon=True
        )
        publisher.start()
        swapping = load(server.port, requests, options.rate, options.seconds)
        over.set()
        publisher.join()
    found = {"quiet": _figures(quiet), "swapping": _figures(swapping)}
    return {
        "rate": options.rate,
        "seconds": options.seconds,
        "rows": options.rows,
        "width": options.width,
        "published": history(place)[-1].number - 1,
        "load_before": round(before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        **found,
        "p99_ratio": round(found["swapping"]["p99_ms"] / found["quiet"]["p99_ms"], 2),
    }


def _models(folder: Path, options: argparse.Namespace) -> tuple[list[Path], Array]:
    """Save two corpora of one shape, and return queries of their kind."""
    X = make(options.corpus, 2 * options.rows + 200, options.width)
    models = []
    for number in range(2):
        half = X[number * options.rows : (number + 1) * options.rows]
        save(folder / str(number), ExactIndex.build(ArrayRows(half), "cosine"))
        models.append(folder / str(number))
    return models, X[-200:]


def _publish(models: list[Path], place: Path, every_s: float, over: threading.Event) -> None:
    """Publish by a process of its own: in this one it would keep requests from being sent."""
    number = 0
    while not over.wait(every_s):
        number += 1
        command = [sys.executable, "-m", "kneighbors", "publish", str(models[number % 2])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([*command, "--to", str(place)], check=True, env=environment, stdout=DEVNULL)


def _request(row: Array) -> bytes:
    body = json.dumps({"instances": [row.tolist()], "k": 10}).encode()
    head = (
        "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _figures(found: Found) -> dict[str, Any]:
    latencies = np.sort(1e3 * np.asarray(found.latencies))
    p50, p99, p999 = np.percentile(latencies, [50, 99, 99.9]).round(2).tolist()
    return {
        "answered": len(latencies),
        "failed": sum(found.refused.values()),
        "p50_ms": p50,
        "p99_ms": p99,
        "p999_ms": p999,
        "most_ms": round(float(latencies[-1]), 2),
        "sent_late_p99_ms": round(1e3 * float(np.percentile(found.lateness or [0.0], 99)), 2),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    sys.stderr.write(f"{time.perf_counter() - began:.0f} s\n")
