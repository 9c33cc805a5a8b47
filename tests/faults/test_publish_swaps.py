"""Fifty generations in one server: nothing of the old ones stays."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kneighbors.artifact import save
from kneighbors.formats import NPY
from kneighbors.generations import publish
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.server_process import ServerProcess, wait_for
from support.wire_bodies import npy_body

pytestmark = pytest.mark.faults

_SWAPS = "kneighbors_generation_swaps_total"
#: After so many, everything that a process ever needs has been allocated.
_SETTLED, _ALL = 10, 50
_N, _WIDTH = 20_000, 32
#: Of one generation: what must not stay of forty.
_BYTES = _N * _WIDTH * 4


def threads_of(pid: int) -> int:
    return len([*Path(f"/proc/{pid}/task").iterdir()])


def descriptors_of(pid: int) -> int:
    return len([*Path(f"/proc/{pid}/fd").iterdir()])


def memory_of(pid: int) -> int:
    """Return the bytes of a process that are its own or in memory shared by its family."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return 1024 * sum(int(status[name].split()[0]) for name in ("RssAnon", "RssShmem"))


def usage(server: ServerProcess) -> list[tuple[int, int, int]]:
    return [(memory_of(p), descriptors_of(p), threads_of(p)) for p in server.workers()]


@pytest.mark.timeout(280)
def test_memory_descriptors_and_threads_are_flat_over_fifty_swaps(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    models = []
    for number in range(2):
        X = random.standard_normal((_N, _WIDTH)).astype(np.float32)
        save(tmp_path / str(number), ExactIndex.build(ArrayRows(X), "cosine"))
        models.append(tmp_path / str(number))
    body = npy_body(random.standard_normal((4, _WIDTH)))

    def ask(server: ServerProcess) -> Iterator[int]:
        while not over:
            yield server.request("POST", "/invocations", body, {"Content-Type": NPY})[0]

    over: list[bool] = []
    place = tmp_path / "place"
    publish(models[0], place)
    before: list[tuple[int, int, int]] = []
    with (
        ServerProcess(tmp_path, place, workers=2, follow_seconds=0.05) as server,
        ThreadPoolExecutor(2) as pool,
    ):
        asking = [pool.submit(lambda: {*ask(server)}) for _ in range(2)]
        try:
            for swap in range(1, _ALL + 1):
                publish(models[swap % 2], place, keep=2, grace_s=0.0)
                wait_for(lambda swap=swap: server.metric(_SWAPS) == 2 * swap, "both workers")  # type: ignore[misc]
                if swap == _SETTLED:
                    before = usage(server)
            after = usage(server)
        finally:
            over.append(True)
        assert [{200}, {200}] == [one.result() for one in asking]
    for (memory, descriptors, threads), (more, more_descriptors, more_threads) in zip(
        before, after, strict=True
    ):
        # A few megabytes come and go; forty generations would be a hundred.
        assert more - memory < 8 * _BYTES
        # A generation may still be closing, and a connection be open.
        assert more_descriptors - descriptors <= 20
        assert more_threads - threads <= 4
    assert 2 <= len([*(place / "generations").iterdir()]) <= 3
