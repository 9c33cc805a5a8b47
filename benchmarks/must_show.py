"""Measure every claim on speed in one run, and say of each whether it holds.

    python benchmarks/must_show.py                             # about twenty minutes
    python benchmarks/must_show.py --parts wines,http          # some of it
    python benchmarks/must_show.py --scale 0.05 --dry-run      # whether it runs at all

Parts: wines (180,000 x 300, with the peers), flat, isotropic, clustered, duplicates (each beside
BLAS), million (1,000,000 x 300), http, ten_million (which needs 25 GB in --folder for a while).
Each part's figures are appended to its own file in `benchmarks/results`, the verdicts to
`claims.jsonl`. Wants a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import http_load
import ten_million
from claims import judge
from comparison import compare
from corpora import CORPORA, make
from results import append
from run import table

PEERS = (
    *("kneighbors", "blas_product", "faiss_flat", "usearch_exact", "scikit_learn_float64"),
    *("kneighbors_hnsw", "faiss_hnsw"),
)
BESIDE_BLAS = ("kneighbors", "blas_product")


def parts(scale: float, folder: Path) -> dict[str, Callable[[], tuple[str, dict[str, Any]]]]:
    """Return, by name, what measures each part and says which kind of result it is."""

    def engines(corpus: str, rows: int, names: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
        X = make(corpus, round(scale * rows))
        found = compare(X, names, 400, 40)
        print(table(found), flush=True)
        return "engines", {"corpus": corpus, "source": "generated", **found}

    def http() -> tuple[str, dict[str, Any]]:
        rows = round(scale * CORPORA["wines"].rows)
        found = http_load.measure(make("wines", rows), rounds=3, seconds=6 * min(1, scale))
        print(http_load.table(found), flush=True)
        return "http", {"corpus": "wines", **found}

    def many() -> tuple[str, dict[str, Any]]:
        found = ten_million.measure(folder, round(scale * ten_million.ROWS), 15 * min(1, scale))
        return "ten_million", {"corpus": "wines", **found}

    found: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
        "wines": lambda: engines("wines", CORPORA["wines"].rows, PEERS)
    }
    for name in ("flat", "isotropic", "clustered", "duplicates"):
        found[name] = lambda name=name: engines(name, CORPORA[name].rows, BESIDE_BLAS)  # type: ignore[misc]
    found["million"] = lambda: engines("wines", 1_000_000, BESIDE_BLAS)
    found["http"] = http
    found["ten_million"] = many
    return found


def lines(verdicts: list[dict[str, Any]]) -> str:
    """Return the verdicts as lines of text."""
    said = []
    for one in verdicts:
        if one["holds"] is None:
            said.append(f"  ?     {one['claim']}: not measured, {one['missing']} was left out")
            continue
        sign = "<=" if one["at_most"] else ">="
        holds = "holds" if one["holds"] else "FAILS"
        said.append(f"  {holds} {one['claim']}: {one['measured']:g} ({sign} {one['wanted']:g})")
    return "\n".join(said)


def main() -> None:
    """Measure what is asked for, print the verdicts, append both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--parts", help="comma-separated; all by default")
    parser.add_argument("--scale", type=float, default=1.0, help="of every number of rows")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args()
    known = parts(options.scale, options.folder)
    results = {}
    for name in options.parts.split(",") if options.parts else known:
        begun = time.perf_counter()
        print(f"{name} ...", file=sys.stderr, flush=True)
        kind, results[name] = known[name]()
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        if not options.dry_run:
            append(kind, results[name])
    verdicts = list(judge(results))
    print(lines(verdicts))
    if not options.dry_run:
        append("claims", {"scale": options.scale, "claims": verdicts})


if __name__ == "__main__":
    main()
