"""Measure the products of codes with one query and with 32: the kernel beside NumKong.

    .venv-bench/bin/python benchmarks/kernel_products.py

180,224 rows of 32, 48 and 112 bytes, one thread, in turn; warm, and right after 216 MB of something
else have been read. Prints medians in milliseconds a query, the least in brackets, as a table in
Markdown; `docs/decisions/0013-kernel.md` has it. Wants a machine that does nothing else.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import statistics
import time
from typing import Any

import numpy as np

from kneighbors.search.accelerator import PackedCodes
from kneighbors.search.kernel import KernelCodes

ROWS, WIDTHS, REPEATS = 180_224, (32, 48, 112), 15


def main() -> None:
    """Print the table."""
    random = np.random.default_rng(0)
    other = np.ones(54_000_000, np.float32)
    print("| bytes a row | queries | | NumKong | kernel |\n|---|---|---|---|---|")
    for width in WIDTHS:
        codes = random.integers(-127, 128, (ROWS, width)).astype(np.int8)
        engines = [PackedCodes(codes), KernelCodes(codes)]
        for n_queries, is_cold in ((1, False), (1, True), (32, False)):
            found = _times(engines, width, n_queries, other if is_cold else None, random)
            cells = [f"{statistics.median(times):.2f} ({min(times):.2f})" for times in found]
            when = "after 216 MB" if is_cold else "warm"
            print(f"| {width} | {n_queries} | {when} | {' | '.join(cells)} |", flush=True)


def _times(
    engines: list[Any], width: int, n_queries: int, other: Any, random: np.random.Generator
) -> list[list[float]]:
    """Return milliseconds a query of each engine, measured in turn."""
    found: list[list[float]] = [[] for _ in engines]
    for _ in range(REPEATS):
        for engine, times in zip(engines, found, strict=True):
            integers = random.integers(-100, 100, (n_queries, width)).astype(engine.dtype)
            shape = (-(-ROWS // engine.piece_rows), n_queries, engine.piece_rows)
            out = np.zeros(shape, np.int32)
            engine.multiply(integers, 0, out)
            if other is not None:
                other.sum()
            start = time.perf_counter()
            engine.multiply(integers, 0, out)
            times.append((time.perf_counter() - start) * 1e3 / n_queries)
    return found


if __name__ == "__main__":
    main()
