"""Measure the planner's constants, which `kneighbors.search.costs` holds, rounded.

    python benchmarks/plan_constants.py

Prints nanoseconds, each the line through medians for several widths. The planner needs their
ratios only. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from kneighbors.search.accelerator import pack
from kneighbors.search.block import Block
from kneighbors.search.metrics import METRICS

N_ROWS, N_CANDIDATES, N_QUERIES, TILE, REPEATS = 180_224, 200, 64, 8192, 15


def median(work: Callable[[], object], count: int) -> float:
    """Return how many nanoseconds one of `count` things takes."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / count


def show(what: str, widths: Sequence[int], times: Sequence[float]) -> None:
    """Print the line through times at widths."""
    slope, start = np.polyfit(widths, times, 1)
    print(f"{what}: {start:.3f} ns, and {slope:.4f} ns for each of its columns")


def main() -> None:
    """Print the constants."""
    random = np.random.default_rng(0)
    widths = (16, 48, 112)
    codes, coded, product, batch, fine, exact = [], [], [], [], [], []
    for width in widths:
        packed = pack(random.integers(-127, 128, (N_ROWS, width)).astype(np.int8))
        assert packed is not None
        integers = random.integers(-127, 128, (1, width)).astype(packed.dtype)
        sums = np.empty((N_ROWS // packed.piece_rows, 1, packed.piece_rows), np.int32)
        several = random.integers(-127, 128, (N_QUERIES, width)).astype(packed.dtype)
        pieces = TILE // packed.piece_rows or 1
        part = np.empty((pieces, N_QUERIES, packed.piece_rows), np.int32)
        coded.append(
            median(lambda: packed.multiply(several, 0, part), part.size)  # noqa: B023
        )
        codes.append(median(lambda: packed.multiply(integers, 0, sums), N_ROWS))  # noqa: B023
        columns = random.standard_normal((width, N_ROWS)).astype(np.float32)
        query = random.standard_normal(width).astype(np.float32)
        product.append(median(lambda: query @ columns, N_ROWS))  # noqa: B023
        queries = random.standard_normal((N_QUERIES, width)).astype(np.float32)
        tile = np.ascontiguousarray(columns[:, :TILE])
        batch.append(median(lambda: queries @ tile, N_QUERIES * TILE))  # noqa: B023
        lines = np.ascontiguousarray(columns.T)
        rows = random.integers(N_ROWS, size=N_CANDIDATES)
        fine.append(median(lambda: lines.take(rows, axis=0) @ query, N_CANDIDATES))  # noqa: B023
    lengths = (100, 300, 768)
    rule = METRICS["cosine"]
    for length in lengths:
        X = random.standard_normal((N_ROWS // 4, length)).astype(np.float32)
        Q = np.repeat(rule.prepare(X[:1]), N_CANDIDATES, axis=0)
        rows = random.integers(len(X), size=N_CANDIDATES)
        exact.append(median(lambda: rule.distances(X[rows], Q), N_CANDIDATES))  # noqa: B023
    show("one query, a row of codes", widths, codes)
    show("in a batch, a row of codes", widths, coded)
    show("one query, a row of a product (four bytes a column)", widths, product)
    show("in a batch, a row of a product", widths, batch)
    show("a row that a finer bound looks at", widths, fine)
    show("a row that is scored", lengths, exact)
    bounds = random.standard_normal((1, N_QUERIES, TILE)).astype(np.float32)
    looked = median(lambda: Block(bounds).reaching(bounds[0, :, 0] + 9), bounds.size)
    print(f"in a batch, to look through a row's bounds: {looked:.3f} ns")


if __name__ == "__main__":
    main()
