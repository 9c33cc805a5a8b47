"""Compare exact engines side by side: single queries and batches, interleaved, on pinned threads.

    python benchmarks/run.py                       # every corpus, every engine that is installed
    python benchmarks/run.py --corpus wines --vectors vectors.npy
    python benchmarks/run.py --queries 40          # quicker

Engines take turns of ten calls, so that a slow moment of the machine falls on all of them, and each
finds its own data in the processor's cache as far as it fits, as it does when it serves alone.
Medians are compared, recall is counted against a float64 scan by distance (a row counts when it is
no farther than the k-th best, within 1e-6), and one JSON line a run is appended to
`benchmarks/results/exact.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

THREADS = "2"
if __name__ == "__main__":
    # Libraries read these when they are loaded.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, THREADS)

import numpy as np
from corpora import CORPORA, Array, load, queries
from engines import ENGINES, PRODUCT_ONLY, Search
from machine import describe

K, TURN = 10, 10


def build(names: list[str], X: Array) -> tuple[dict[str, Search], dict[str, float]]:
    """Build each engine that is installed; return them and their build times in seconds."""
    engines, seconds = {}, {}
    for name in names:
        start = time.perf_counter()
        try:
            engines[name] = ENGINES[name](X)
        except ImportError as error:
            print(f"  {name}: left out, {error}", file=sys.stderr)
            continue
        seconds[name] = time.perf_counter() - start
    return engines, seconds


def measure(engines: dict[str, Search], Q: Array, batch: int) -> dict[str, list[float]]:
    """Return milliseconds a query of each engine; they take turns of a few calls."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    parts = [
        np.ascontiguousarray(Q[start : start + batch])
        for start in range(0, len(Q) - batch + 1, batch)
    ]
    for turn in range(0, len(parts), TURN):
        for name, search in engines.items():
            for part in parts[turn : turn + TURN]:
                begun = time.perf_counter()
                search(part, K)
                times[name].append((time.perf_counter() - begun) * 1e3 / batch)
    return times


def recall(engines: dict[str, Search], X: Array, Q: Array) -> dict[str, float]:
    """Return the share of neighbours that are no farther than the true k-th."""
    Y = X.astype(np.float64)
    Y /= np.linalg.norm(Y, axis=1, keepdims=True)
    out = {}
    truth = [1 - Y @ (q / np.linalg.norm(q)) for q in Q.astype(np.float64)]
    for name, search in engines.items():
        if name not in PRODUCT_ONLY:
            hits = [
                (gaps[search(Q[i : i + 1], K)[0]] <= np.sort(gaps)[K - 1] + 1e-6).mean()
                for i, gaps in enumerate(truth)
            ]
            out[name] = float(np.mean(hits))
    return out


def run(
    corpus: str, X: Array, names: list[str], n_queries: int, n_batches: int
) -> dict[str, object]:
    """Measure all engines on one corpus and print the table."""
    print(f"{corpus}: {X.shape[0]:,} x {X.shape[1]}", file=sys.stderr)
    engines, build_s = build(names, X)
    Q = queries(X, n_queries)
    measure(engines, Q[:8], 1)  # warm up
    single = measure(engines, Q, 1)
    batched = measure(engines, queries(X, 32 * n_batches, seed=4), 32)
    found = recall(engines, X, Q[:20])
    rows = {}
    heads = ("build s", "single ms", "p95", "x", "b32 ms", "x", "recall")
    print(f"  {'engine':15}" + "".join(f"{head:>10}" for head in heads))
    ours = np.median(single["kneighbors"]), np.median(batched["kneighbors"])
    for name in engines:
        one, many = np.array(single[name]), np.array(batched[name])
        rows[name] = row = {
            "build_s": round(build_s[name], 3),
            "single_ms": round(float(np.median(one)), 4),
            "single_p95_ms": round(float(np.percentile(one, 95)), 4),
            "times_ours_single": round(float(np.median(one) / ours[0]), 2),
            "batch32_ms_per_query": round(float(np.median(many)), 4),
            "times_ours_batch32": round(float(np.median(many) / ours[1]), 2),
            "recall": found.get(name),
        }
        cells = [f"{value:10.3f}" if value is not None else f"{'-':>10}" for value in row.values()]
        print(f"  {name:15}" + "".join(cells))
    shape = list(X.shape)
    return {"corpus": corpus, "shape": shape, "k": K, "queries": n_queries, "engines": rows}


def main() -> None:
    """Parse the command line, run, append the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--corpus", choices=[*CORPORA, "all"], default="all")
    parser.add_argument(
        "--vectors", type=Path, help=".npy file to use instead of the generated corpus"
    )
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results" / "exact.jsonl"
    )
    args = parser.parse_args()
    for corpus in CORPORA if args.corpus == "all" else [args.corpus]:
        X = load(corpus, args.vectors)
        result = run(corpus, X, args.engines.split(","), args.queries, args.batches)
        source = args.vectors.name if args.vectors else "generated"
        line = {
            "source": source,
            "threads": int(os.environ["OMP_NUM_THREADS"]),
            **result,
            **describe(),
        }
        args.results.parent.mkdir(parents=True, exist_ok=True)
        with args.results.open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
