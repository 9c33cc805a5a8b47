"""Engines side by side on one corpus: single queries and batches, interleaved.

Engines take turns of ten calls, so that a slow moment of the machine falls on all of them, and each
finds its own data in the processor's cache as far as it fits, as it does when it serves alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from corpora import queries
from engine import Array
from engines import ENGINES
from recall import Truth
from worker import EngineFailed, Worker, written

K, BATCH, TURN = 10, 32, 10
#: Queries that an approximate engine is tuned on, and that its recall is then counted on.
TUNED_ON, COUNTED_ON = 200, 200
WANTED_RECALL = 0.99
_THROUGHPUT = 1000

Times = dict[str, list[float]]


@dataclass
class Field:
    """Engines that have been built on one corpus, and why others have not."""

    X: Array
    workers: dict[str, Worker]
    left_out: dict[str, str]
    efforts: dict[str, int] = field(default_factory=dict)
    recalls: dict[str, float] = field(default_factory=dict)

    def drop(self, name: str, reason: str) -> None:
        """Go on without an engine."""
        self.workers.pop(name).close()
        self.left_out[name] = reason

    def times(self, Q: Array, batch: int) -> Times:
        """Return the seconds of each call of each engine; they take turns."""
        times: Times = {name: [] for name in self.workers}
        step = TURN * batch
        for start in range(0, len(Q) - batch + 1, step):
            for name in list(self.workers):
                try:
                    times[name] += self.workers[name].times(Q[start : start + step], K, batch)
                except EngineFailed as error:
                    self.drop(name, str(error))
        return times


@contextmanager
def build(X: Array, names: Sequence[str]) -> Iterator[Field]:
    """Build engines, one after the other; each stays in its process until the end."""
    with tempfile.TemporaryDirectory(prefix="kneighbors-") as folder:
        built = Field(X, {}, {})
        with written(X, Path(folder)) as path:
            for name in names:
                print(f"  building {name} ...", file=sys.stderr, flush=True)
                try:
                    built.workers[name] = Worker(name, path)
                except EngineFailed as error:
                    built.left_out[name] = str(error)
        try:
            yield built
        finally:
            for worker in built.workers.values():
                worker.close()


def match_recall(built: Field, wanted: float = WANTED_RECALL) -> None:
    """Tune approximate engines to the least effort that reaches a recall; count everyone's."""
    tuning = queries(built.X, TUNED_ON, seed=5)
    truth = Truth(built.X, tuning, K)
    Q = queries(built.X, COUNTED_ON, seed=6)
    counted = Truth(built.X, Q, K)
    for name in list(built.workers):
        worker, engine = built.workers[name], ENGINES[name]
        try:
            if engine.efforts:
                effort = _least(worker, engine.efforts, tuning, truth, wanted)
                worker.tune(effort)
                built.efforts[name] = effort
            if engine.selects:
                built.recalls[name] = float(counted.recalls(worker.rows(Q, K)).mean())
        except EngineFailed as error:
            built.drop(name, str(error))


def _least(worker: Worker, efforts: Sequence[int], Q: Array, truth: Truth, wanted: float) -> int:
    """Return the least effort whose recall is enough, or the greatest there is, by bisection."""
    low, high = 0, len(efforts) - 1
    while low < high:
        middle = (low + high) // 2
        worker.tune(efforts[middle])
        if truth.recalls(worker.rows(Q, K)).mean() >= wanted:
            high = middle
        else:
            low = middle + 1
    return efforts[low]


def compare(X: Array, names: Sequence[str], n_queries: int, n_batches: int) -> dict[str, Any]:
    """Build, tune and time engines on a corpus.

    Returns
    -------
    dict
        Fit for JSON: for each engine milliseconds a query, alone and in batches, queries a second
        in batches of a thousand, recall, seconds to build and MiB held; and who was left out.
    """
    with build(X, names) as built:
        match_recall(built)
        built.times(queries(X, BATCH, seed=7), 1)
        built.times(queries(X, BATCH, seed=7), BATCH)
        single = built.times(queries(X, n_queries), 1)
        batched = built.times(queries(X, BATCH * n_batches, seed=4), BATCH)
        many = built.times(queries(X, 2 * _THROUGHPUT, seed=8), _THROUGHPUT)
        engines = {
            name: {
                "build_s": round(worker.build_s, 3),
                "memory_mib": round(worker.memory_mib, 1),
                "effort": built.efforts.get(name),
                "recall": _rounded(built.recalls.get(name)),
                **quantiles("single", single[name], 1),
                **quantiles("batch32", batched[name], BATCH),
                "queries_per_s": round(_THROUGHPUT / min(many[name])),
            }
            for name, worker in built.workers.items()
        }
        left_out = dict(built.left_out)
    return {
        "shape": list(X.shape),
        "k": K,
        "queries": n_queries,
        "engines": engines,
        "left_out": left_out,
    }


def quantiles(name: str, seconds: Sequence[float], batch: int) -> dict[str, float]:
    """Return the median, p95 and p99 of calls, in milliseconds a query."""
    found = np.percentile(np.asarray(seconds) * 1e3 / batch, (50, 95, 99))
    keys = (f"{name}_ms", f"{name}_p95_ms", f"{name}_p99_ms")
    return {key: round(float(value), 4) for key, value in zip(keys, found, strict=True)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
