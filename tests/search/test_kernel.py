"""The kernel: what it selects, what it does without, and that it was built from its source."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kneighbors.search import kernel
from kneighbors.search.accelerator import pack
from kneighbors.search.block import Block
from kneighbors.search.crew import threads
from kneighbors.search.kernel import KernelCodes, library, maxima_of

HOME = Path(kernel.__file__).parent
BUILT = sorted(HOME.glob("kernel-*.so"))


def test_every_library_was_built_from_the_source_beside_it() -> None:
    digest = hashlib.sha256((HOME / "kernel.c").read_bytes()).hexdigest()
    assert BUILT
    for path in BUILT:
        assert digest.encode() in path.read_bytes(), f"{path.name}: run `make kernel`"


def test_a_library_that_cannot_be_loaded_or_is_not_wanted_is_done_without(tmp_path: Path) -> None:
    script = (
        "import numpy as np, kneighbors.search.kernel as k;"
        "from kneighbors.search.index import ExactIndex;"
        "from kneighbors.search.rows import ArrayRows;"
        "X = np.random.default_rng(0).standard_normal((3000, 40), np.float32);"
        "index = ExactIndex.build(ArrayRows(X), 'cosine');"
        "print(k.library() is None, index.kneighbors(X[:2], 3)[1].tolist())"
    )
    answers = []
    for wanted in ("off", ""):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "KNEIGHBORS_KERNEL": wanted},
            capture_output=True,
            text=True,
            check=True,
        )
        answers.append(done.stdout.split(" ", 1))
    assert answers[0][0] == "True"
    assert answers[0][1] == answers[1][1]


def test_a_damaged_library_is_done_without(tmp_path: Path, monkeypatch: Any) -> None:
    for path in BUILT:
        (tmp_path / path.name).write_bytes(path.read_bytes()[:200])
    monkeypatch.setattr(kernel, "__file__", str(tmp_path / "kernel.py"))
    assert library.__wrapped__() is None


def test_who_does_not_want_it_has_none(monkeypatch: Any) -> None:
    monkeypatch.setenv("KNEIGHBORS_KERNEL", "off")
    assert library.__wrapped__() is None


def test_a_processor_that_cannot_is_not_made_to(monkeypatch: Any) -> None:
    # As the library answers on a processor without AVX2.
    old = SimpleNamespace(kneighbors_is_usable=lambda: 0)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: old)
    assert library.__wrapped__() is None


needs_kernel = pytest.mark.skipif(library() is None, reason="no kernel for this machine")


@needs_kernel
@pytest.mark.parametrize("n_pieces", [1, 2, 7])
@pytest.mark.parametrize("n_queries", [1, 2, 5])
def test_what_reaches_is_what_numpy_finds(n_pieces: int, n_queries: int) -> None:
    random = np.random.default_rng([n_pieces, n_queries])
    bounds = random.integers(-1000, 1000, (n_pieces, n_queries, 512)).astype(np.int32)
    ends = np.iinfo(np.int32)
    bounds[0, 0, :4] = [ends.max, ends.min + 1, ends.min, ends.max - 1]
    for lowest in (-2000, 0, 990, ends.max, ends.min + 1):
        thresholds = np.full(n_queries, lowest, np.int32)
        thresholds[-1] = max(lowest, 500)
        mine = Block(bounds, maxima_of(bounds)).reaching(thresholds)
        theirs = Block(bounds).reaching(thresholds)
        found = [set(zip(*map(np.ndarray.tolist, pair), strict=True)) for pair in (mine, theirs)]
        assert found[0] == found[1]
        assert len(mine[0]) == len(theirs[0])


@needs_kernel
def test_maxima_that_are_too_high_find_no_more() -> None:
    bounds = np.zeros((3, 2, 512), np.int32)
    bounds[2, 1, 77] = 5
    maxima = np.full((3, 2, 8), 9, np.int32)
    queries, columns = Block(bounds, maxima).reaching(np.array([5, 5], np.int32))
    assert (queries.tolist(), columns.tolist()) == ([1], [2 * 512 + 77])


@needs_kernel
def test_more_pairs_than_there_is_room_for_are_all_found() -> None:
    bounds = np.arange(100 * 512, dtype=np.int32).reshape(100, 1, 512)
    queries, columns = Block(bounds, maxima_of(bounds)).reaching(np.array([10], np.int32))
    assert not queries.any()
    np.testing.assert_array_equal(columns, np.arange(10, 100 * 512))


@needs_kernel
def test_the_maxima_are_those_of_every_eighth_row() -> None:
    random = np.random.default_rng(3)
    codes = random.integers(-127, 128, (5000, 19)).astype(np.int8)
    out = np.empty((10, 3, 512), np.int32)
    integers = random.integers(-32767, 32768, (3, 19)).astype(np.int16)
    maxima = KernelCodes(codes).multiply(integers, 0, out)
    np.testing.assert_array_equal(maxima, maxima_of(out))


@needs_kernel
@pytest.mark.skipif(threads() < 2, reason="one thread")
def test_several_threads_leave_no_piece_out(monkeypatch: Any) -> None:
    monkeypatch.setattr(kernel, "_WORTH_A_THREAD", 1 << 16)
    monkeypatch.setattr(kernel, "_TURN_BYTES", 1 << 13)
    random = np.random.default_rng(4)
    codes = random.integers(-127, 128, (40_000, 30)).astype(np.int8)
    packed = KernelCodes(codes)
    integers = random.integers(-300, 300, (2, 30)).astype(np.int16)
    for first in (0, 512 * 3):
        n_pieces = 79 - first // 512
        out = np.full((n_pieces, 2, 512), -7, np.int32)
        packed.multiply(integers, first, out)
        wanted = integers.astype(np.int32) @ codes[first:].astype(np.int32).T
        found = out.transpose(1, 0, 2).reshape(2, -1)[:, : wanted.shape[1]]
        np.testing.assert_array_equal(found, wanted)


@needs_kernel
def test_it_is_what_multiplies_where_it_runs() -> None:
    assert isinstance(pack(np.zeros((1, 1), np.int8)), KernelCodes)
    assert isinstance(library(), ctypes.CDLL)
