"""The exact search against brute force: bit for bit by its own distances, and by an oracle's."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from kneighbors.search.accelerator import PackedCodes
from kneighbors.search.building import Sizes, build_stages
from kneighbors.search.frame import Frame
from kneighbors.search.gate import check_corpus, check_queries
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import METRICS
from kneighbors.search.planner import survey
from kneighbors.search.progress import ignore
from kneighbors.search.rows import ArrayRows
from support import oracle, problems

CHUNKS, PROBLEMS = 20, 50
#: Chunks that are not left to the long run.
DEFAULT = 3


def build(X: Any, metric: str, random: np.random.Generator) -> ExactIndex:
    """Build as planned, or with stages and a basis that nobody would choose: right all the same."""
    rows = ArrayRows(X)
    if random.random() < 0.3:
        return ExactIndex.build(rows, metric, random_state=int(random.integers(100)))
    d = X.shape[1]
    found = survey(rows, ignore)
    sizes = any_sizes(d, found.product_is_safe, random)
    basis = np.linalg.qr(random.standard_normal((d, d)))[0]
    exponent = 0 if metric == "cosine" else found.exponent
    frame = Frame(metric, np.zeros(d), exponent)
    if metric != "inner_product" and random.random() < 0.7:
        frame = Frame(metric, frame.place(X).mean(axis=0), exponent)
    sample = frame.place(X[random.integers(len(X), size=min(len(X), 50))])
    bounds = build_stages(frame, basis, sizes, sample, rows, ignore)
    if bounds.codes is not None and random.random() < 0.5:
        # As where the accelerator is installed: the same integers, by numpy.
        bounds.codes.__dict__["packed"] = Multiplied(bounds.codes.codes)
    elif bounds.codes is not None and random.random() < 0.3 and find_spec("numkong"):
        bounds.codes.__dict__["packed"] = PackedCodes(bounds.codes.codes)
    return ExactIndex(rows, bounds, {"engine": "head"})


def any_sizes(d: int, product_is_safe: bool, random: np.random.Generator) -> Sizes:
    """Return stages at random, of which one at least bounds every row for any batch."""
    sizes = [int(random.integers(1, d + 1)) if random.random() < 0.6 else None for _ in range(3)]
    head, codes, fine = sizes
    if random.random() < 0.2:
        codes = d
    if head is None and not product_is_safe:
        head = d
    return Sizes(head, codes, fine, product_is_safe and (head is None or random.random() < 0.7))


class Multiplied:
    """What the accelerator does, done by numpy."""

    dtype, most = np.dtype(np.int8), 127

    def __init__(self, codes: Any) -> None:
        self._codes = codes.astype(np.int32)
        self.piece_rows = 64

    def multiply(self, integers: Any, first: int, out: Any) -> None:
        for part in out:
            codes = self._codes[first : first + self.piece_rows]
            np.matmul(integers.astype(np.int32), codes.T, out=part[:, : len(codes)])
            first += self.piece_rows


def brute(metric: str, X: Any, q: Any, k: int) -> tuple[Any, Any]:
    """Return the answer by the package's own distances of every row."""
    rule = METRICS[metric]
    every = rule.distances(X, np.repeat(rule.prepare(q[np.newaxis]), len(X), axis=0))
    rows = np.lexsort((np.arange(len(X)), every))[:k]
    return every[rows], rows


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(chunk, marks=pytest.mark.slow) if chunk >= DEFAULT else chunk
        for chunk in range(CHUNKS)
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_answer_is_that_of_brute_force(metric: str, dtype: str, chunk: int) -> None:
    for problem in range(PROBLEMS):
        seed = [sorted(METRICS).index(metric), int(dtype == "float64"), chunk, problem]
        random = np.random.default_rng(seed)
        n = int(10 ** random.uniform(0, np.log10(5000)))
        d = int(10 ** random.uniform(0, np.log10(500)))
        if n * d > 200_000:
            n = max(1, 200_000 // d) if random.random() < 0.9 else n
        kind = problems.KINDS[random.integers(len(problems.KINDS))]
        X = problems.corpus(kind, n, d, np.dtype(dtype), random)
        k = int(random.integers(1, n + 1)) if random.random() < 0.2 else min(n, 10)
        X = check_corpus(X, metric)
        Q = check_queries(problems.queries(X, 3, metric, random), d, metric)
        distances, rows = build(X, metric, random).kneighbors(Q, k)
        for i, q in enumerate(Q):
            expected = brute(metric, X, q, k)
            context = f"seed {seed}: {kind}, {n} x {d}, k = {k}, query {i}"
            np.testing.assert_array_equal(rows[i], expected[1], err_msg=context)
            np.testing.assert_array_equal(distances[i], expected[0], err_msg=context)
            if i == 0 and kind not in {"tiny"}:
                oracle.check_answer(metric, X, q, distances[i], rows[i], k)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_the_answer_does_not_depend_on_batches_blocks_or_exclusions(
    metric: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng([seed, 7])
    kind = problems.KINDS[seed % len(problems.KINDS)]
    X = check_corpus(problems.corpus(kind, 700, 12, np.float32, random), metric)
    Q = check_queries(problems.queries(X, 9, metric, random), 12, metric)
    index = build(X, metric, random)
    together = index.kneighbors(Q, 20)
    excluded = [together[1][i, ::2] for i in range(len(Q))]
    without = index.kneighbors(Q, 20, exclude=excluded)
    monkeypatch.setattr("kneighbors.search.sieve._BOUND_ELEMENTS", 300)
    monkeypatch.setattr("kneighbors.search.index._MOST_QUERIES", 4)
    monkeypatch.setattr("kneighbors.search.scan._PAIR_ELEMENTS", 64)
    monkeypatch.setattr("kneighbors.search.improving._MANY", 16)
    for expected, found in zip(together, index.kneighbors(Q, 20), strict=True):
        np.testing.assert_array_equal(found, expected)
    for i in range(len(Q)):
        alone = index.kneighbors(Q[i : i + 1], 20)
        np.testing.assert_array_equal(alone[0][0], together[0][i])
        np.testing.assert_array_equal(alone[1][0], together[1][i])
        rest = np.setdiff1d(np.arange(len(X)), excluded[i])
        expected_distances, expected_rows = brute(metric, X[rest], Q[i], 20)
        np.testing.assert_array_equal(without[1][i], rest[expected_rows])
        np.testing.assert_array_equal(without[0][i], expected_distances)
    for expected, found in zip(without, index.kneighbors(Q, 20, exclude=excluded), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_a_radius_holds_every_row_within_it_and_no_other(metric: str, seed: int) -> None:
    random = np.random.default_rng([seed, 11])
    kind = problems.KINDS[seed % len(problems.KINDS)]
    n, d = int(random.integers(1, 900)), int(random.integers(1, 40))
    X = check_corpus(problems.corpus(kind, n, d, np.float64, random), metric)
    Q = check_queries(problems.queries(X, 4, metric, random), d, metric)
    index = build(X, metric, random)
    # A distance that occurs is the sharpest radius there is.
    radius = float(index.kneighbors(Q[:1], int(random.integers(1, n + 1)))[0][0, -1])
    distances, rows = index.radius_neighbors(Q, radius)
    for i, q in enumerate(Q):
        expected_distances, expected_rows = brute(metric, X, q, n)
        near = expected_distances <= radius
        np.testing.assert_array_equal(rows[i], expected_rows[near])
        np.testing.assert_array_equal(distances[i], expected_distances[near])


def test_fewer_rows_than_asked_for_leave_the_last_places_empty() -> None:
    X = np.arange(6.0).reshape(3, 2)
    index = ExactIndex.build(ArrayRows(X), "euclidean")
    distances, rows = index.kneighbors(X[:1], 3, exclude=[np.array([0, 2])])
    assert rows.tolist() == [[1, -1, -1]]
    assert distances[0, 1:].tolist() == [np.inf, np.inf]


def test_no_queries_give_no_answers() -> None:
    X = np.arange(6.0).reshape(3, 2)
    index = ExactIndex.build(ArrayRows(X), "euclidean")
    distances, rows = index.kneighbors(np.empty((0, 2)), 2)
    assert distances.shape == rows.shape == (0, 2)
    assert index.radius_neighbors(np.empty((0, 2)), 1.0) == ([], [])
