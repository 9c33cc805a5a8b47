"""Compare engines side by side: the long form.

    python benchmarks/run.py                       # every corpus, every engine that is installed
    python benchmarks/run.py --corpora wines --engines kneighbors,blas_product,faiss_flat
    python benchmarks/run.py --corpora wines --vectors vectors.npy
    python benchmarks/run.py --rows 20000 --queries 40 --dry-run

Every engine is in a process of its own and has two threads; they take turns. Recall is counted
against a float64 scan, by distance. Approximate engines are tuned to a recall of 0.99. One JSON
line a corpus is appended to `benchmarks/results/engines.jsonl`, from which `report.py` makes a page
of the documentation.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from comparison import compare
from corpora import CORPORA, make
from engines import ENGINES
from results import append

_COLUMNS = {
    "build_s": "build s",
    "memory_mib": "MiB",
    "recall": "recall",
    "single_ms": "single ms",
    "single_p95_ms": "p95",
    "single_p99_ms": "p99",
    "batch32_ms": "b32 ms",
    "queries_per_s": "queries/s",
}


def table(result: dict[str, Any]) -> str:
    """Return the figures of one corpus as lines of text."""
    lines = [f"  {'':18}" + "".join(f"{title:>11}" for title in _COLUMNS.values())]
    for name, row in result["engines"].items():
        cells = [f"{'-':>11}" if row[key] is None else f"{row[key]:11.3f}" for key in _COLUMNS]
        lines.append(f"  {name:18}" + "".join(cells))
    lines += [f"  {name}: left out, {reason}" for name, reason in result["left_out"].items()]
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, run, append the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--corpora", default=",".join(CORPORA))
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--vectors", type=Path, help=".npy file in place of the one corpus named")
    parser.add_argument("--rows", type=int, help="of every corpus, in place of its own number")
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args()
    for corpus in options.corpora.split(","):
        given = options.vectors
        X = np.load(given).astype(np.float32) if given else make(corpus, options.rows)
        print(f"{corpus}: {X.shape[0]:,} x {X.shape[1]}", file=sys.stderr, flush=True)
        result = compare(X, options.engines.split(","), options.queries, options.batches)
        print(f"{corpus}: {X.shape[0]:,} x {X.shape[1]}\n{table(result)}", flush=True)
        if not options.dry_run:
            source = given.name if given else "generated"
            append("engines", {"corpus": corpus, "source": source, **result})


if __name__ == "__main__":
    main()
