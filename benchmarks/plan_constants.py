"""Measure the planner's constants: a byte of a product's matrix read, a candidate scored.

    python benchmarks/plan_constants.py

Prints nanoseconds, medians of interleaved repetitions, for a few widths. The planner needs their
ratio only; `kneighbors.search.planner` holds rounded values.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from kneighbors.search.metrics import METRICS

N_ROWS, N_CANDIDATES, REPEATS = 200_000, 200, 40


def nanoseconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter_ns()
    work()
    return float(time.perf_counter_ns() - start)


def main() -> None:
    """Print the constants for several widths."""
    random = np.random.default_rng(0)
    for width in (100, 300, 768):
        X = random.standard_normal((N_ROWS, width)).astype(np.float32)
        columns = np.ascontiguousarray(X[:, :48].T)
        query = random.standard_normal(48).astype(np.float32)
        rule = METRICS["cosine"]
        Q = np.repeat(rule.prepare(X[:1]), N_CANDIDATES, axis=0)
        rows = random.integers(N_ROWS, size=N_CANDIDATES)
        reads, scores = [], []
        for _ in range(REPEATS):
            reads.append(nanoseconds(lambda: query @ columns) / columns.nbytes)  # noqa: B023
            scores.append(nanoseconds(lambda: rule.distances(X[rows], Q)) / N_CANDIDATES)  # noqa: B023
        print(
            f"width {width}: {statistics.median(reads):.4f} ns a byte, "
            f"{statistics.median(scores):.0f} ns a candidate"
        )


if __name__ == "__main__":
    main()
