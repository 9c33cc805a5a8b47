"""Load the endpoint over HTTP, and compare with the search alone and with a constant handler.

    python benchmarks/http_load.py                          # the long form: three rounds
    python benchmarks/http_load.py --rows 20000 --rounds 1 --seconds 1 --dry-run

180,000 generated wines, application/x-npy, exact, `kneighbors serve` with two workers on this
machine's loopback; the load runs on the same cores. In turn are measured:

    in process   the search alone, two threads
    alone        one client over HTTP, the next query after each answer
    top rate     32 such clients; and the same of a handler that returns a constant under the same
                 server, which is what HTTP alone reaches
    open loop    requests due at times fixed in advance, at half of the top rate and at other shares
                 of it, whose latency runs from when they were due
    start        the command to the first healthy ping, the page cache warm, and emptied of the
                 artifact's and the environment's files first

One JSON line is appended to `benchmarks/results/http.jsonl`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_loop
from closed_loop import load, requests_of
from comparison import Field, K, build, quantiles
from corpora import make, queries
from engine import Array
from processes import constant_command, free_port, kneighbors_command, private_mib, pss_mib, served
from results import append

CLIENTS = 32
N_QUERIES = 256
#: Shares of the top rate at which the open loop runs.
SHARES = (0.25, 0.5, 0.75, 0.9)
STARTS = 5


@dataclass(frozen=True)
class Scene:
    """What is asked, and how long."""

    model: Path
    queries: Array
    requests: list[bytes]
    seconds: float
    workers: int

    def command(self, port: int) -> list[str]:
        """Return what serves the artifact."""
        return kneighbors_command(self.model, port, self.workers)


@contextmanager
def scene(X: Array, seconds: float, workers: int = 2) -> Iterator[Scene]:
    """Save an artifact, and make requests whose answers it has not been fitted on alone."""
    from kneighbors.artifact import save
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.rows import ArrayRows

    with tempfile.TemporaryDirectory(prefix="kneighbors-") as folder:
        save(Path(folder) / "model", ExactIndex.build(ArrayRows(X), "cosine"))
        Q = queries(X, N_QUERIES, seed=9)
        yield Scene(Path(folder) / "model", Q, requests_of(Q), seconds, workers)


def loads(at: Scene, engine: Field, rounds: int) -> dict[str, Any]:
    """Measure latency and rates in interleaved rounds."""
    inside: list[float] = []
    alone: list[float] = []
    rates: dict[str, list[float]] = {"top": [], "constant": []}
    memory = {}
    commands: dict[str, Callable[[int], list[str]]] = {
        "top": at.command,
        "constant": lambda port: constant_command(port, at.workers),
    }
    for _ in range(rounds):
        inside += engine.times(at.queries, 1)["kneighbors"]
        for name, command in commands.items():
            port = free_port()
            with served(command(port), port) as server:
                load(port, at.requests, 8, min(1.0, at.seconds))
                if name == "top":
                    alone += load(port, at.requests, 1, at.seconds)[1]
                rates[name].append(load(port, at.requests, CLIENTS, at.seconds)[0])
                if name == "top":
                    memory = {
                        "pss_mib": round(pss_mib(server.pid), 1),
                        "private_mib": round(private_mib(server.pid), 1),
                    }
    return {
        **quantiles("in_process", inside, 1),
        **quantiles("alone", alone, 1),
        "top_per_s": round(statistics.median(rates["top"]), 1),
        "constant_per_s": round(statistics.median(rates["constant"]), 1),
        **memory,
    }


def open_loads(at: Scene, top: float, rounds: int) -> list[dict[str, Any]]:
    """Measure latency at fixed rates, from when requests were due."""
    found = [open_loop.Found() for _ in SHARES]
    for number in range(rounds):
        port = free_port()
        with served(at.command(port), port):
            load(port, at.requests, 8, min(1.0, at.seconds))
            for share, sums in zip(SHARES, found, strict=True):
                one = open_loop.load(port, at.requests, share * top, at.seconds, seed=number)
                sums.latencies += one.latencies
                sums.lateness += one.lateness
                for status, count in one.refused.items():
                    sums.refused[status] = sums.refused.get(status, 0) + count
    return [
        {
            "share": share,
            "rate_per_s": round(share * top, 1),
            "answered": len(sums.latencies),
            "refused": sums.refused,
            **quantiles("open", sums.latencies or [float("inf")], 1),
            "lateness_p99_ms": round(float(np.quantile(sums.lateness or [0], 0.99)) * 1e3, 3),
        }
        for share, sums in zip(SHARES, found, strict=True)
    ]


def starts(at: Scene, count: int = STARTS) -> dict[str, Any]:
    """Measure the first healthy ping, warm and cold in turn."""
    seconds: dict[str, list[float]] = {"warm": [], "cold": []}
    kept = 0
    for _ in range(count):
        for name, found in seconds.items():
            port = free_port()
            if name == "cold":
                kept = empty_page_cache(at.model)
            with served(at.command(port), port) as server:
                found.append(server.start_s)
    return {
        "first_ping_warm_s": round(statistics.median(seconds["warm"]), 3),
        "first_ping_cold_s": round(statistics.median(seconds["cold"]), 3),
        "files_dropped": kept,
    }


def empty_page_cache(model: Path) -> int:
    """Drop the artifact, the environment, the package and Python's library from the page cache.

    Pages that another process has mapped stay, such as those of the interpreter that this runs in.
    Return how many files were dropped.
    """
    import kneighbors

    library = Path(sysconfig.get_paths()["stdlib"])
    packages = Path(sysconfig.get_paths()["purelib"])
    count = 0
    os.sync()
    for folder in {model, Path(kneighbors.__file__).parent, packages, library}:
        for path in folder.rglob("*"):
            if path.is_file():
                number = os.open(path, os.O_RDONLY)
                os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(number)
                count += 1
    return count


def measure(X: Array, rounds: int, seconds: float, workers: int = 2) -> dict[str, Any]:
    """Return everything that is measured over HTTP, fit for JSON."""
    with build(X, ["kneighbors"]) as engine, scene(X, seconds, workers) as at:
        engine.times(at.queries[:32], 1)
        found = loads(at, engine, rounds)
        rates = open_loads(at, found["top_per_s"], rounds)
        return {
            "shape": list(X.shape),
            "k": K,
            "workers": workers,
            "clients": CLIENTS,
            "rounds": rounds,
            "seconds": seconds,
            **found,
            "open_loop": rates,
            **starts(at),
        }


def table(found: dict[str, Any]) -> str:
    """Return the figures as lines of text."""
    lines = [
        f"  in process {found['in_process_ms']:.2f} ms, one client {found['alone_ms']:.2f} ms "
        f"(p99 {found['alone_p99_ms']:.2f})",
        f"  {found['clients']} clients {found['top_per_s']:.0f}/s, "
        f"a constant handler {found['constant_per_s']:.0f}/s",
    ]
    lines += [
        f"  open loop at {one['rate_per_s']:.0f}/s: median {one['open_ms']:.2f}, "
        f"p95 {one['open_p95_ms']:.2f}, p99 {one['open_p99_ms']:.2f} ms, refused {one['refused']}"
        for one in found["open_loop"]
    ]
    lines.append(
        f"  first healthy ping {found['first_ping_warm_s']:.2f} s warm, "
        f"{found['first_ping_cold_s']:.2f} s cold; memory {found['pss_mib']:.0f} MiB, of which "
        f"{found['private_mib']:.0f} are no file's"
    )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of each load, in each round")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args()
    X = make("wines", options.rows)
    print(f"over HTTP: {X.shape[0]:,} x {X.shape[1]}", file=sys.stderr, flush=True)
    found = measure(X, options.rounds, options.seconds, options.workers)
    print(table(found))
    if not options.dry_run:
        append("http", {"corpus": "wines", **found})


if __name__ == "__main__":
    main()
