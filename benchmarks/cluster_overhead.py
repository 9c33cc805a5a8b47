"""What the way through Ray costs on one machine: overhead, two workers, and the cost of a shard.

    python benchmarks/cluster_overhead.py                        # the long form
    python benchmarks/cluster_overhead.py --rows 20000 --rounds 2 --dry-run

One corpus is saved whole and in 1, 2, 4, 8 and 16 shards, and searched in process and by hosts of a
one-node cluster of Ray; all of them are open at once and take turns.

    overhead   one query, and batches of 32 and 1,000: whole in process, 8 shards in process, and 8
               shards by way of Ray
    scaling    batches by one host of all rows, and by two hosts of half of them each; a host has
               one thread
    fan-out    one query over 1 to 16 shards: milliseconds, and those of the processor in the
               process that asks, alone. A line through each gives the cost of a shard.

The plan's `CALL` is the slope of the line through the processor's time: hosts are elsewhere then,
while here they share the cores with whoever asks. Its `RAY` is what one query of one shard takes
longer by way of Ray. One JSON line is appended to `benchmarks/results/cluster.jsonl`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from cluster_nodes import joined, nodes, ray_version, save_shards
from comparison import K
from corpora import make, queries
from engine import Array
from results import append

SHARDS = (1, 2, 4, 8, 16)
#: Shards of the overhead's comparison.
CUSTOMARY = 8
#: Calls of a round, by the queries of each.
CALLS = {1: 40, 32: 5, 1000: 2}
Times = dict[tuple[str, int, int], list[float]]


@contextmanager
def indexes(X: Array, folder: Path) -> Iterator[dict[tuple[str, int], Any]]:
    """Give what is searched, by its way and number of shards; none means the whole corpus."""
    from kneighbors.artifact import open_artifact, save
    from kneighbors.cluster import open_on_cluster
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.rows import ArrayRows
    from kneighbors.shards import open_sharded

    save(folder / "whole", ExactIndex.build(ArrayRows(X), "cosine"))
    with ExitStack() as stack:
        at = stack.enter_context(nodes(1, os.cpu_count() or 1))
        stack.enter_context(joined(at.address))
        found: dict[tuple[str, int], Any] = {
            ("whole", 0): stack.enter_context(open_artifact(folder / "whole")).index
        }
        for count in SHARDS:
            path = save_shards(X, folder / str(count), count)
            found["local", count] = stack.enter_context(open_sharded(path)).index
            found["ray", count] = stack.enter_context(open_on_cluster(path, at.address)).index
        yield found


def take_times(
    known: Mapping[tuple[str, int], Any], Q: Array, rounds: int
) -> tuple[Times, Mapping[int, list[float]]]:
    """Return the seconds of calls, by turns, and those of this process' processor with Ray."""
    from kneighbors.search.gate import check_queries

    seconds: Times = defaultdict(list)
    busy: Mapping[int, list[float]] = defaultdict(list)
    Q = check_queries(Q, Q.shape[1], "cosine")
    random = np.random.default_rng(0)
    for number in range(rounds + 1):  # the first warms up
        for size, calls in CALLS.items():
            for (way, count), index in known.items():
                if size > 1 and count not in (0, 1, 2, CUSTOMARY):
                    continue
                batches = [Q[random.choice(len(Q), size, replace=False)] for _ in range(calls)]
                begun_busy = time.process_time()
                times = []
                for batch in batches:
                    begun = time.perf_counter()
                    index.kneighbors(batch, K)
                    times.append(time.perf_counter() - begun)
                if not number:
                    continue
                seconds[way, count, size] += times
                if way == "ray" and size == 1:
                    busy[count].append((time.process_time() - begun_busy) / calls)
    return seconds, busy


def measure(rows: int, rounds: int) -> dict[str, Any]:
    """Return all figures, fit for JSON; milliseconds are of a call."""
    X = make("wines", rows)
    with (
        tempfile.TemporaryDirectory(prefix="kneighbors-overhead-") as folder,
        indexes(X, Path(folder)) as known,
    ):
        before = os.getloadavg()[0]
        seconds, busy = take_times(known, queries(X, 4096), rounds)
    ms = {key: 1e3 * statistics.median(times) for key, times in seconds.items()}
    front = {count: 1e3 * statistics.median(times) for count, times in busy.items()}
    return {
        "what": "overhead",
        "shape": list(X.shape),
        "load_average": round(before, 2),
        "overhead": {
            f"{way}-{count}": {str(size): _round(ms[way, count, size]) for size in CALLS}
            for way, count in (("whole", 0), ("local", CUSTOMARY), ("ray", CUSTOMARY))
        },
        "scaling": {
            str(size): {
                "one_ms": _round(ms["ray", 1, size]),
                "two_ms": _round(ms["ray", 2, size]),
                "times": round(ms["ray", 1, size] / ms["ray", 2, size], 2),
            }
            for size in CALLS
        },
        "fan_out": {
            "local": _line({count: ms["local", count, 1] for count in SHARDS}),
            "ray": _line({count: ms["ray", count, 1] for count in SHARDS}),
            "front": _line({count: front[count] for count in SHARDS}),
        },
        "ray_ms": _round(ms["ray", 1, 1] - ms["local", 1, 1]),
    }


def _line(points: Mapping[int, float]) -> dict[str, Any]:
    """Return points and the line through them, and how far it passes the farthest by."""
    counts = np.array(list(points))
    values = np.array(list(points.values()))
    slope, start = np.polyfit(counts, values, 1)
    off = np.abs(start + slope * counts - values).max()
    return {
        "ms": {str(count): _round(value) for count, value in points.items()},
        "start_ms": _round(start),
        "a_shard_ms": round(float(slope), 4),
        "off_ms": _round(off),
    }


def _round(value: Any) -> float:
    return round(float(value), 3)


def table(found: Mapping[str, Any]) -> str:
    """Return the figures as lines of text."""
    lines = [f"{'ms a call of':22}" + "".join(f"{size:>10}" for size in CALLS)]
    for way, by_size in found["overhead"].items():
        lines.append(f"{way:22}" + "".join(f"{ms:10.2f}" for ms in by_size.values()))
    for size, one in found["scaling"].items():
        lines.append(
            f"{size} queries: one host {one['one_ms']:.2f} ms, two {one['two_ms']:.2f}, "
            f"{one['times']:.2f} times as fast"
        )
    for way, one in found["fan_out"].items():
        points = ", ".join(f"{count}: {ms:.2f}" for count, ms in one["ms"].items())
        lines.append(
            f"{way}: {one['start_ms']:.2f} ms and {one['a_shard_ms']:.3f} a shard, "
            f"within {one['off_ms']:.2f}   ({points})"
        )
    lines.append(f"one query of one shard takes {found['ray_ms']:.2f} ms more by way of Ray")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=180_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args(arguments)
    found = measure(options.rows, options.rounds)
    print(table(found))
    if not options.dry_run:
        append("cluster", {"corpus": "wines", "ray": ray_version(), **found})


if __name__ == "__main__":
    main()
