"""Single queries with a filter of known selectivity, beside the same query without one.

    python benchmarks/filters.py                       # 180,000 wines, about ten minutes
    python benchmarks/filters.py --rows 20000 --dry-run

Needs the extra peers: ``pip install pandas lancedb qdrant-client`` in .venv-bench; who is not
installed is left out. Engines take turns of a few queries, so that a slow moment falls on all.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

from engine import THREADS, pin_threads

pin_threads()
# LanceDB's threads are its own.
os.environ.setdefault("LANCE_CPU_THREADS", str(THREADS))
os.environ.setdefault("RAYON_NUM_THREADS", str(THREADS))

import numpy as np
from corpora import CORPORA, make, queries
from engine import Array
from filter_engines import FILTER_ENGINES, FilteredSearch
from results import append

K, TURN = 10, 5
#: Shares of the rows that the filter leaves; None is no filter.
SHARES: tuple[float | None, ...] = (None, 0.001, 0.01, 0.1, 0.5)
#: Seconds that one engine's turns may take at one selectivity, after which it has been seen enough.
_MOST_S = 10.0
#: Queries whose answers are compared with a float64 scan.
_COUNTED = 5


def measure(rows: int, n_queries: int) -> dict[str, Any]:
    """Return milliseconds a query and recall, by engine and selectivity."""
    X = make("wines", rows)
    numbers = np.random.default_rng(11).permutation(rows).astype(np.float64)
    engines: dict[str, FilteredSearch] = {}
    left_out: dict[str, str] = {}
    for name, (title, build) in FILTER_ENGINES.items():
        print(f"  building {title} ...", file=sys.stderr, flush=True)
        try:
            engines[name] = build(X, numbers)
        except ImportError as error:
            left_out[name] = str(error)
    Q = queries(X, n_queries, seed=12)
    found: dict[str, Any] = {name: {} for name in engines}
    for share in SHARES:
        limit = None if share is None else share * rows
        times = _times(engines, Q, limit)
        for name, seconds in times.items():
            found[name][_label(share)] = {
                "ms": round(1e3 * float(np.median(seconds)), 4),
                "p95_ms": round(1e3 * float(np.percentile(seconds, 95)), 4),
                "queries": len(seconds),
                "recall": _recall(engines[name], X, numbers, Q[:_COUNTED], limit),
            }
    return {"rows": rows, "k": K, "engines": found, "left_out": left_out}


def _times(
    engines: dict[str, FilteredSearch], Q: Array, limit: float | None
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in engines}
    for search in engines.values():
        search(Q[0], K, limit)
    for start in range(0, len(Q), TURN):
        for name, search in engines.items():
            if sum(times[name]) > _MOST_S:
                continue
            for query in Q[start : start + TURN]:
                begun = time.perf_counter()
                search(query, K, limit)
                times[name].append(time.perf_counter() - begun)
    return times


def _recall(
    search: FilteredSearch, X: Array, numbers: Array, Q: Array, limit: float | None
) -> float:
    """Return the share of the true neighbours, by distance, that an engine answers with."""
    allowed = np.arange(len(X)) if limit is None else np.flatnonzero(numbers < limit)
    rows = X[allowed].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    place = np.full(len(X), -1)
    place[allowed] = np.arange(len(allowed))
    hits = 0
    for query in Q:
        gaps = 1 - rows @ (query.astype(np.float64) / np.linalg.norm(query))
        most = np.partition(gaps, K - 1)[K - 1] * (1 + 1e-3) + 1e-6
        answer = place[search(query, K, limit)]
        hits += int(((answer >= 0) & (gaps[answer] <= most)).sum())
    return round(hits / (K * len(Q)), 4)


def _label(share: float | None) -> str:
    return "no filter" if share is None else f"{share:.1%}"


def table(found: dict[str, Any]) -> str:
    """Return milliseconds as a table, and ours beside no filter."""
    labels = [_label(share) for share in SHARES]
    lines = [" " * 28 + "".join(f"{label:>12}" for label in labels)]
    for name, by_share in found["engines"].items():
        numbers = "".join(f"{by_share[label]['ms']:>12.3f}" for label in labels)
        lines.append(f"{FILTER_ENGINES[name][0]:<28}{numbers}")
    ours = found["engines"]["kneighbors"]
    plain = ours["no filter"]["ms"]
    ratios = "".join(f"{ours[label]['ms'] / plain:>12.2f}" for label in labels)
    lines.append(f"{'ours / ours unfiltered':<28}{ratios}")
    recalls = {n: min(one["recall"] for one in by.values()) for n, by in found["engines"].items()}
    lines.append("least recall: " + ", ".join(f"{n} {r:g}" for n, r in recalls.items()))
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and append a line to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=CORPORA["wines"].rows)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--dry-run", action="store_true", help="append nothing to the results")
    arguments = parser.parse_args()
    found = measure(arguments.rows, arguments.queries)
    print(table(found))
    for name, reason in found["left_out"].items():
        print(f"left out: {name} ({reason})")
    if not arguments.dry_run:
        append("filters", {"corpus": "wines", **found})


if __name__ == "__main__":
    main()
