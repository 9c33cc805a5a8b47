"""How cost grows with rows, dimensions, neighbours and clients.

    python benchmarks/growth.py                         # rows to a million, dimensions, k, clients
    python benchmarks/growth.py --rows 10000,100000,1000000,10000000   # needs 24 GB on disk
    python benchmarks/growth.py --axes width,k

Along each axis everything else stays: wines of 300 dimensions, ten neighbours; dimensions are those
of the flat spectrum, which has any number of them. Exact search, the plain product and graphs at a
recall of 0.99 take turns at each point; beyond a million rows graphs are left out, since they would
take an hour to build. Each point is one JSON line in `benchmarks/results/growth.jsonl`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import comparison
import corpora
import numpy as np
from closed_loop import load
from comparison import BATCH, build, match_recall, quantiles
from corpora import make
from engine import Array
from http_load import scene
from processes import free_port, served
from results import append

EXACT = ("kneighbors", "blas_product")
GRAPHS = ("kneighbors_hnsw", "faiss_hnsw")
ROWS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
WIDTHS = (64, 128, 256, 384, 768, 1536)
NEIGHBORS = (1, 3, 10, 30, 100, 300, 1000)
CLIENTS = (1, 2, 4, 8, 16, 32, 64, 128)
MOST_ROWS_OF_GRAPHS = 1_000_000


def point(X: Array, names: Sequence[str], n_queries: int) -> dict[str, Any]:
    """Measure engines on a corpus that has one of the sizes."""
    with build(X, names) as built:
        match_recall(built)
        single, batched = times(built, n_queries)
        return {
            "shape": list(X.shape),
            "k": comparison.K,
            "engines": {
                name: {
                    "build_s": round(worker.build_s, 3),
                    "memory_mib": round(worker.memory_mib, 1),
                    "recall": built.recalls.get(name),
                    **quantiles("single", single[name], 1),
                    **quantiles("batch32", batched[name], BATCH),
                }
                for name, worker in built.workers.items()
            },
            "left_out": dict(built.left_out),
        }


def times(built: comparison.Field, n_queries: int) -> tuple[comparison.Times, comparison.Times]:
    """Return the seconds of calls with one query and with 32, after a few of each."""
    X = built.X
    for batch in (1, BATCH):
        built.times(corpora.queries(X, BATCH, seed=7), batch)
    single = built.times(corpora.queries(X, n_queries), 1)
    return single, built.times(corpora.queries(X, BATCH * max(1, n_queries // 10), seed=4), BATCH)


def rows_points(sizes: Sequence[int], n_queries: int) -> Iterator[dict[str, Any]]:
    """Yield a point for each number of rows."""
    for n in sizes:
        with tempfile.TemporaryDirectory(prefix="kneighbors-") as folder:
            path = Path(folder) / "wines.npy"
            corpora.write("wines", path, n)
            X = np.load(path, mmap_mode="r")
            yield point(X, EXACT + (GRAPHS if n <= MOST_ROWS_OF_GRAPHS else ()), n_queries)


def width_points(n: int, n_queries: int) -> Iterator[dict[str, Any]]:
    """Yield a point for each number of dimensions."""
    for d in WIDTHS:
        yield point(make("flat", n, d), EXACT + GRAPHS, n_queries)


def k_points(n: int, n_queries: int) -> Iterator[dict[str, Any]]:
    """Yield a point for each number of neighbours; engines are built once, graphs tuned for ten."""
    X = make("wines", n)
    with build(X, ["kneighbors", "blas_top_k", *GRAPHS]) as built:
        match_recall(built)
        for k in NEIGHBORS:
            # A graph finds no more than it looks at.
            for name in built.efforts:
                built.workers[name].tune(max(built.efforts[name], k))
            Q = corpora.queries(X, n_queries)
            found: dict[str, list[float]] = {name: [] for name in built.workers}
            for start in range(0, n_queries, comparison.TURN):
                for name, worker in built.workers.items():
                    found[name] += worker.times(Q[start : start + comparison.TURN], k, 1)
            engines = {name: quantiles("single", seconds, 1) for name, seconds in found.items()}
            yield {"shape": list(X.shape), "k": k, "engines": engines}


def client_points(n: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield a point for each number of clients over HTTP, each in a closed loop."""
    with scene(make("wines", n), seconds) as at:
        port = free_port()
        with served(at.command(port), port):
            load(port, at.requests, 8, min(1.0, seconds))
            for clients in CLIENTS:
                rate, latencies = load(port, at.requests, clients, seconds)
                figures = {"requests_per_s": round(rate, 1), **quantiles("http", latencies, 1)}
                yield {"shape": [n, 300], "k": 10, "clients": clients, **figures}


def main() -> None:
    """Measure along the axes that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--axes", default="rows,width,k,clients")
    parser.add_argument("--rows", default=",".join(map(str, ROWS)))
    parser.add_argument("--fixed-rows", type=int, default=100_000, help="along the other axes")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5, help="of each load over HTTP")
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args()
    n, count = options.fixed_rows, options.queries
    sizes = [int(size) for size in options.rows.split(",")]
    axes = {
        "rows": lambda: rows_points(sizes, count),
        "width": lambda: width_points(n, count),
        "k": lambda: k_points(n, count),
        "clients": lambda: client_points(n, options.seconds),
    }
    for axis in options.axes.split(","):
        for found in axes[axis]():
            print(axis, found, flush=True)
            if not options.dry_run:
                append("growth", {"axis": axis, **found})
            print(f"{axis} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
