"""Upper bounds are never below the score that they bound, in extended precision."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from kneighbors.search.accelerator import Codes
from kneighbors.search.building import Sizes, build_stages
from kneighbors.search.coded_queries import CodedQueries
from kneighbors.search.frame import Frame
from kneighbors.search.head import HeadBounds
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import METRICS, lengths
from kneighbors.search.planner import survey
from kneighbors.search.product import ProductBounds
from kneighbors.search.progress import ignore
from kneighbors.search.rounding import round_down
from kneighbors.search.rows import ArrayRows
from kneighbors.search.staged import StagedBounds
from support import oracle, problems


def head_of(frame: Frame, basis: Any, X: Any) -> HeadBounds:
    """Return bounds with heads in all columns of a basis."""
    sizes = Sizes(head=basis.shape[1], product=False)
    bounds = build_stages(frame, basis, sizes, frame.place(X), ArrayRows(X), ignore).coarse
    assert isinstance(bounds, HeadBounds)
    return bounds


def scores(frame: Frame, metric: str, X: Any, q: Any) -> Any:
    """Return the true scores of all rows, as the frame defines them, before any divisor."""
    placed = frame.place(X).astype(np.longdouble)
    centre = frame.centre.astype(np.longdouble)
    query = METRICS[metric].prepare(q[np.newaxis])[0].astype(np.longdouble)
    if metric == "inner_product":
        power = np.frexp(lengths(q[np.newaxis].astype(np.float64)))[1][0]
        return placed @ np.ldexp(query, -power)
    query = query if metric == "cosine" else np.ldexp(query, frame.exponent)
    return placed @ (query - centre) - (placed * placed).sum(axis=1) / 2


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_head_bounds_hold_for_queries_near_and_at_the_centre(metric: str, seed: int) -> None:
    random = np.random.default_rng([seed, 3])
    kind = ("isotropic", "clustered", "steep", "far_from_origin", "grid")[seed % 5]
    n, d = 400, int(random.integers(1, 60))
    X = problems.corpus(kind, n, d, np.float32, random)
    exponent = 0 if metric == "cosine" else survey(ArrayRows(X), ignore).exponent
    frame = Frame(metric, np.zeros(d), exponent)
    if metric != "inner_product":
        frame = Frame(metric, frame.place(X).mean(axis=0), exponent)
    basis = np.linalg.qr(random.standard_normal((d, int(random.integers(1, d + 1)))))[0]
    bounds = head_of(frame, basis, X)
    centre = np.ldexp(frame.centre, -exponent)
    # At the centre all of the score is the offset: the sharpest test of its rounding.
    Q = np.stack([X[0], centre + 1e-9 * X[1], centre * (1 + 1e-6) + 1e-4 * X[2]])
    placed = frame.place_queries(METRICS[metric].prepare(Q.astype(np.float64)))
    upper = np.empty((len(Q), n), np.float32)
    bounds.upper(bounds.coefficients(placed), 0, n, upper)
    for i, q in enumerate(Q.astype(np.float64)):
        true = scores(frame, metric, X, q) / placed.divisor[i]
        allowed = 8 * (d + 8) * 2.0**-53 * np.abs(true).max() + 1e-37
        assert (upper[i].astype(np.longdouble) >= true - allowed).all()


@pytest.mark.parametrize("has_basis", [True, False])
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_codes_and_finer_heads_bound_every_score(metric: str, seed: int, has_basis: bool) -> None:
    # As NumKong's product takes them, and the kernel's.
    most, dtype = [(127, np.int8), (32767, np.int16)][seed // 5 % 2]
    packed = cast(Codes, SimpleNamespace(most=most, dtype=np.dtype(dtype)))
    random = np.random.default_rng([seed, 4])
    kind = ("isotropic", "clustered", "steep", "far_from_origin", "mixed_lengths")[seed % 5]
    n, d = 300, int(random.integers(2, 60))
    X = problems.corpus(kind, n, d, np.float64, random)
    exponent = 0 if metric == "cosine" else survey(ArrayRows(X), ignore).exponent
    frame = Frame(metric, np.zeros(d), exponent)
    if metric != "inner_product":
        frame = Frame(metric, frame.place(X).mean(axis=0), exponent)
    basis = np.linalg.qr(random.standard_normal((d, d)))[0]
    size = int(random.integers(1, d)) if has_basis else d
    # A sample that does not reach as far as the rows do.
    sample = frame.place(X[:20])
    stages = build_stages(frame, basis, Sizes(size, size, size), sample, ArrayRows(X), ignore)
    assert stages.codes is not None
    assert stages.fine is not None
    centre = np.ldexp(frame.centre, -exponent)
    Q = np.stack([X[0], centre + 1e-9 * X[1], centre * (1 + 1e-6) + 1e-4 * X[2], X[3] + X[4]])
    prepared = METRICS[metric].prepare(Q)
    sieve = CodedQueries(stages.codes, packed, prepared)
    products = sieve.integers.astype(np.int64) @ stages.codes.codes.astype(np.int64).T
    rows = np.tile(np.arange(n), len(Q))
    queries = np.repeat(np.arange(len(Q)), n)
    fine = stages.fine.upper(stages.fine.coefficients(sieve.placed), queries, rows)
    for i, q in enumerate(Q):
        true = scores(frame, metric, X, q) / sieve.placed.divisor[i]
        allowed = 8 * (d + 8) * 2.0**-53 * np.abs(true).max() + 1e-37
        # A row is passed over only where its product is below the threshold of its own score.
        for row in range(n):
            floors = np.full(len(Q), round_down(np.array([float(true[row] - allowed)]))[0])
            assert products[i, row] >= sieve.thresholds(floors)[i]
        assert (fine.reshape(len(Q), n)[i].astype(np.longdouble) >= true - allowed).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", sorted(METRICS))
def test_product_bounds_hold(metric: str, dtype: Any) -> None:
    random = np.random.default_rng(6)
    X = problems.corpus("mixed_lengths", 500, 40, dtype, random)
    frame = Frame(metric, np.zeros(40), 0)
    bounds = ProductBounds.build(frame, ArrayRows(X), ignore)
    Q = problems.queries(X, 30, metric, random).astype(np.float64)
    placed = frame.place_queries(METRICS[metric].prepare(Q))
    upper = np.empty((len(Q), len(X)), np.float32)
    bounds.upper(bounds.coefficients(placed), 0, len(X), upper)
    for i, q in enumerate(Q):
        true = scores(frame, metric, X, q) / placed.divisor[i]
        true = true + 0.5 if metric == "cosine" else true
        allowed = np.abs(true) * 1e-12 + max(bounds.margin + 0.5, 0) * (metric == "cosine")
        assert (upper[i].astype(np.longdouble) >= true - allowed - 1e-37).all()


@pytest.mark.parametrize("small", [1e-300, 1e-200, 1.0])
@pytest.mark.parametrize("large", [1.0, 1e140, 1e290])
def test_queries_from_another_world_are_answered_by_looking_at_every_row(
    small: float, large: float
) -> None:
    random = np.random.default_rng(8)
    X = random.standard_normal((300, 6)) * small
    Q = np.stack([random.standard_normal(6) * large, X[7]])
    basis = np.eye(6)[:, :3]
    frame = Frame("euclidean", np.zeros(6), survey(ArrayRows(X), ignore).exponent)
    index = ExactIndex(ArrayRows(X), StagedBounds(head_of(frame, basis, X)), {"engine": "head"})
    distances, rows = index.kneighbors(Q, 5)
    for i, q in enumerate(Q):
        oracle.check_answer("euclidean", X, q, distances[i], rows[i], 5)


def test_plain_products_leave_a_query_too_far_for_float32_unbounded() -> None:
    random = np.random.default_rng(8)
    X = (random.standard_normal((300, 6)) * 1e10).astype(np.float32)
    index = ExactIndex.build(ArrayRows(X), "euclidean")
    assert index.plan["engine"] == "product"
    for length in 10.0 ** np.arange(0, 150, 5):
        Q = random.standard_normal((1, 6)) * length
        distances, rows = index.kneighbors(Q, 5)
        oracle.check_answer("euclidean", X, Q[0], distances[0], rows[0], 5)
        rule = METRICS["euclidean"]
        every = rule.distances(X, np.repeat(Q, len(X), axis=0))
        assert rows[0].tolist() == np.lexsort((np.arange(300), every))[:5].tolist()


def test_inner_products_that_underflow_tie_and_keep_the_order_of_rows() -> None:
    random = np.random.default_rng(8)
    X = random.standard_normal((300, 6)) * 1e-280
    Q = random.standard_normal((1, 6)) * 1e-60
    frame = Frame("inner_product", np.zeros(6), survey(ArrayRows(X), ignore).exponent)
    bounds = StagedBounds(head_of(frame, np.eye(6)[:, :3], X))
    distances, rows = ExactIndex(ArrayRows(X), bounds, {"engine": "head"}).kneighbors(Q, 5)
    assert rows.tolist() == [[0, 1, 2, 3, 4]]
    assert not distances.any()
