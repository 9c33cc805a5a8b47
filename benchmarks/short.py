"""The short form, in less than ten minutes: what `make bench` runs.

    python benchmarks/short.py
    python benchmarks/short.py --scale 0.2      # quicker still

Smaller corpora and fewer queries than in the long form, so that no figure is quite the same, and
ratios to the peers are smaller: the advantage grows with the corpus. PyNNDescent is left out, which
compiles for minutes before its first answer. Results are appended to `benchmarks/results/short`.
"""

from __future__ import annotations

import argparse
import sys
import time

import http_load
from comparison import compare
from corpora import make
from engines import ENGINES, EXACT
from results import SHORT, append
from run import table

ROWS = {
    "wines": 60_000,
    "clustered": 30_000,
    "flat": 30_000,
    "isotropic": 30_000,
    "duplicates": 30_000,
}
_SLOW_TO_START = ("pynndescent",)


def main() -> None:
    """Compare engines on every corpus, load the endpoint, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of every number of rows")
    parser.add_argument("--queries", type=int, default=100)
    options = parser.parse_args()
    begun = time.perf_counter()
    for corpus, rows in ROWS.items():
        # Graphs take long to build; one corpus shows how they compare.
        names = list(ENGINES if corpus == "wines" else EXACT)
        names = [name for name in names if name not in _SLOW_TO_START]
        X = make(corpus, round(options.scale * rows))
        print(f"{corpus}: {len(X):,} x {X.shape[1]}", file=sys.stderr, flush=True)
        found = compare(X, names, options.queries, options.queries // 10)
        for name in _SLOW_TO_START if corpus == "wines" else ():
            found["left_out"][name] = "its code compiles for minutes; the long form has it"
        print(f"{corpus}: {len(X):,} x {X.shape[1]}\n{table(found)}", flush=True)
        append("engines", {"corpus": corpus, "source": "generated", **found}, SHORT)
    X = make("wines", round(options.scale * ROWS["wines"]))
    print("over HTTP", file=sys.stderr, flush=True)
    over_http = http_load.measure(X, rounds=1, seconds=3.0)
    print(f"over HTTP: {len(X):,} x {X.shape[1]}\n{http_load.table(over_http)}")
    append("http", {"corpus": "wines", **over_http}, SHORT)
    print(f"{time.perf_counter() - begun:.0f} s; results are appended to {SHORT}")


if __name__ == "__main__":
    main()
