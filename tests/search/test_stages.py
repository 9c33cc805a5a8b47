"""Stages of bounds: with the accelerator, with numpy in its place and without, the same bits."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from kneighbors.search.accelerator import PackedCodes
from kneighbors.search.building import Sizes, build_stages
from kneighbors.search.coded_queries import CodedQueries
from kneighbors.search.frame import Frame
from kneighbors.search.gate import check_corpus, check_queries
from kneighbors.search.index import ExactIndex
from kneighbors.search.kernel import KernelCodes, library
from kneighbors.search.metrics import METRICS
from kneighbors.search.planner import survey
from kneighbors.search.progress import ignore
from kneighbors.search.rows import ArrayRows
from support import problems


class Multiplied:
    """What the accelerator does, done by numpy."""

    dtype, most = np.dtype(np.int8), 127

    def __init__(self, codes: Any) -> None:
        self._codes = codes.astype(np.int32)
        self.piece_rows = 128

    def multiply(self, integers: Any, first: int, out: Any) -> None:
        for part in out:
            codes = self._codes[first : first + self.piece_rows]
            np.matmul(integers.astype(np.int32), codes.T, out=part[:, : len(codes)])
            first += self.piece_rows


def numkong(codes: Any) -> Any:
    pytest.importorskip("numkong")
    return PackedCodes(codes)


def kernel(codes: Any) -> Any:
    if library() is None:
        pytest.skip("no kernel for this machine")
    return KernelCodes(codes)


MULTIPLIERS: dict[str, Any] = {
    "kernel": kernel,
    "numkong": numkong,
    "numpy": Multiplied,
    "none": lambda codes: None,
}
STAGES = {
    "codes and head": (True, True, False, False),
    "all": (True, True, True, True),
    "codes and product": (True, False, False, True),
    "codes, fine and product": (True, False, True, True),
    "head and fine": (False, True, True, False),
    "product": (False, False, False, True),
}


def build(X: Any, metric: str, stages: str, random: np.random.Generator) -> ExactIndex:
    """Build stages of the sizes that are wished for, in a basis that nobody would choose."""
    has_codes, has_head, has_fine, has_product = STAGES[stages]
    rows, d = ArrayRows(X), X.shape[1]
    found = survey(rows, ignore)
    frame = Frame(metric, np.zeros(d), 0 if metric == "cosine" else found.exponent)
    if metric != "inner_product":
        frame = Frame(metric, frame.place(X).mean(axis=0), frame.exponent)
    small, large = sorted(random.integers(1, d + 1, size=2).tolist())
    code = d if random.random() < 0.4 else large
    is_safe = has_product and found.product_is_safe
    sizes = Sizes(
        small if has_head or not is_safe else None,
        code if has_codes else None,
        large if has_fine else None,
        is_safe,
    )
    basis = np.linalg.qr(random.standard_normal((d, d)))[0]
    sample = frame.place(X[random.integers(len(X), size=min(len(X), 50))])
    bounds = build_stages(frame, basis, sizes, sample, rows, ignore)
    return ExactIndex(rows, bounds, {"engine": "head"})


def choose(index: ExactIndex, multiplier: str) -> None:
    codes = index.bounds.codes
    if codes is not None:
        codes.__dict__["packed"] = MULTIPLIERS[multiplier](codes.codes)


def brute(metric: str, X: Any, q: Any, allowed: Any) -> tuple[Any, Any]:
    """Return the distances and rows that are allowed, nearest first."""
    rule = METRICS[metric]
    every = rule.distances(X, np.repeat(rule.prepare(q[np.newaxis]), len(X), axis=0))
    rows = np.lexsort((np.arange(len(X)), every))
    rows = rows[allowed[rows]]
    return every[rows], rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stages", sorted(STAGES))
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_whatever_multiplies_the_answer_is_that_of_a_scan(
    metric: str, stages: str, dtype: str
) -> None:
    for seed, kind in enumerate(problems.KINDS):
        random = np.random.default_rng(
            [seed, sorted(METRICS).index(metric), sorted(STAGES).index(stages), dtype == "float64"]
        )
        n, d = int(random.integers(1, 600)), int(random.integers(1, 40))
        X = check_corpus(problems.corpus(kind, n, d, np.dtype(dtype), random), metric)
        count = int(random.choice([1, 2, 3, 4, 5, int(random.integers(6, 71))]))
        Q = check_queries(problems.queries(X, count, metric, random), d, metric)
        k = int(random.choice([1, min(n, 10), int(random.integers(1, n + 1)), n]))
        allowed = random.random((count, n)) < random.choice([0.02, 0.5, 1.0])
        exclude = [random.integers(n, size=random.integers(4)) for _ in range(count)]
        index = build(X, metric, stages, random)
        masks = list(allowed.copy())
        for mask, rows in zip(allowed, exclude, strict=True):
            mask[rows] = False
        wanted = [brute(metric, X, q, mask) for q, mask in zip(Q, allowed, strict=True)]
        # A distance that occurs is the sharpest radius there is.
        radius = max(
            (float(far[min(k, len(far)) - 1]) for far, _ in wanted[:1] if len(far)), default=1.0
        )
        for multiplier in MULTIPLIERS:
            choose(index, multiplier)
            index.bounds.batches_by_codes = seed % 2 == 0
            context = f"{kind}, {n} x {d}, {count} queries, k = {k}, {multiplier}"
            distances, rows = index.kneighbors(Q, k, exclude=exclude, masks=masks)
            near = index.radius_neighbors(Q, radius, exclude=exclude, masks=masks)
            for i, (far, order) in enumerate(wanted):
                held = min(k, len(order))
                np.testing.assert_array_equal(rows[i, :held], order[:k], err_msg=context)
                assert distances[i, :held].tobytes() == far[:k].tobytes(), context
                assert (rows[i, held:] == -1).all(), context
                within = far <= radius
                np.testing.assert_array_equal(near[1][i], order[within], err_msg=context)
                np.testing.assert_array_equal(near[0][i], far[within], err_msg=context)


@pytest.mark.parametrize("accelerator", ["kernel", "numkong"])
@pytest.mark.parametrize("width", [1, 15, 16, 17, 80, 300, 1537])
@pytest.mark.parametrize("n", [1, 63, 512, 40_001])
def test_the_accelerator_multiplies_as_numpy_does(n: int, width: int, accelerator: str) -> None:
    random = np.random.default_rng([n, width])
    codes = random.integers(-127, 128, size=(n, width)).astype(np.int8)
    # The largest products there are: nothing may saturate or overflow on the way.
    codes[: n // 2] = 127
    codes[n // 2 : n // 2 + 5] = -127
    packed = MULTIPLIERS[accelerator](codes)
    query = np.full((1, width), packed.most, packed.dtype)
    others = random.integers(-packed.most, packed.most + 1, size=(4, width))
    queries = np.concatenate([query, others.astype(packed.dtype)])
    for few in (query, queries):
        out = np.empty((-(-n // packed.piece_rows), len(few), packed.piece_rows), np.int32)
        packed.multiply(few, 0, out)
        products = out.transpose(1, 0, 2).reshape(len(few), -1)[:, :n]
        np.testing.assert_array_equal(products, few.astype(np.int64) @ codes.astype(np.int64).T)


# What each number of a row and of a query is there for: without it some row is passed over wrongly.
def without_rests(codes: Any, integers: Any, m: int) -> None:
    codes[:, m] = -127


def without_seen_rests(codes: Any, integers: Any, m: int) -> None:
    codes[:, m + 1] = -127


def without_lengths(codes: Any, integers: Any, m: int) -> None:
    codes[:, -1] = 0


def without_query_errors(codes: Any, integers: Any, m: int) -> None:
    integers[:, -1] = 0


def with_offsets_a_step_lower(codes: Any, integers: Any, m: int) -> None:
    codes[:, m + 2] -= 1


def nothing(codes: Any, integers: Any, m: int) -> None:
    pass


MUTATIONS = [
    without_rests,
    without_seen_rests,
    without_lengths,
    without_query_errors,
    with_offsets_a_step_lower,
]


def wrongly_passed_over(mutate: Any) -> int:
    """Count rows below the threshold of their own score, over some corpora and queries."""
    wrong = 0
    for seed, has_basis in product(range(3), (False, True)):
        random = np.random.default_rng([seed, 21])
        n, d = 250, 24
        X = random.standard_normal((n, d))
        # Equal lengths or not, and a sample with shorter rows: some lie beyond the codes' reach.
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        X *= random.uniform((1.0, 0.1)[seed % 3 == 0], 1, size=(n, 1))
        frame = Frame("euclidean", np.zeros(d), 0)
        basis = np.linalg.qr(random.standard_normal((d, d)))[0]
        size = 6 if has_basis else d
        share = (1.0, 0.3)[seed % 2]
        sizes = Sizes(size, size, None, False)
        stages = build_stages(frame, basis, sizes, X * share, ArrayRows(X), ignore)
        assert stages.codes is not None
        # Rows ask for themselves and what is left of them: the bounds are sharpest there.
        left = (
            X if stages.codes.basis is None else X - X @ stages.codes.basis @ stages.codes.basis.T
        )
        # At the centre there is only the offset.
        for Q in (X[:30], left[:30], X[:5] * 1e-12):
            sieve = CodedQueries(stages.codes, Multiplied(stages.codes.codes), Q)
            codes = stages.codes.codes.copy()
            mutate(codes, sieve.integers, size)
            products = sieve.integers.astype(np.int64) @ codes.astype(np.int64).T
            placed = sieve.placed
            true = placed.q @ X.T - 0.5 * (X * X).sum(axis=1) / placed.divisor[:, np.newaxis]
            for row in range(n):
                floors = (true[:, row] - 1e-6 * np.abs(true[:, row])).astype(np.float32)
                wrong += int((products[:, row] < sieve.thresholds(floors)).sum())
    return wrong


def test_with_all_numbers_no_row_is_passed_over() -> None:
    assert wrongly_passed_over(nothing) == 0


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_each_number_of_the_codes_is_needed(mutate: Any) -> None:
    assert wrongly_passed_over(mutate) > 0
