"""What is learned from answers: index recall and drift, by brute force and by hand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from kneighbors.formats.npy import write_array
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Found, Query
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.server.board import Board
from kneighbors.server.derived import stability_index
from kneighbors.server.drift import Bins
from kneighbors.server.lifecycle import Endpoint
from kneighbors.server.observing import Observer
from kneighbors.server.rechecking import Answer
from kneighbors.server.telemetry import NUMBERS, Telemetry
from kneighbors.server.workpool import NO_HOLD, Hold
from support.graphs import embeddings, graph

NPY = "application/x-npy"
RANDOM = np.random.default_rng(5)


class Counted(Hold):
    """How often it is held, and how often it has been."""

    def __init__(self) -> None:
        self.held = self.total = 0

    def acquire(self) -> None:
        self.held += 1
        self.total += 1

    def release(self) -> None:
        self.held -= 1


def observed(share: float = 1.0) -> tuple[Observer, Telemetry]:
    slot = Board(1, NUMBERS).take()
    telemetry = Telemetry(slot)
    observer = Observer(telemetry, Endpoint(None, slot), share, drift_every=1)
    observer._spare._rest = 0  # tests do not rest
    return observer, telemetry


def asked(model: Model, X: np.ndarray, attributes: str | None = None) -> tuple[Query, Found]:
    query = model.read(write_array(X), NPY, None, attributes)
    (found,) = model.find([query])
    return query, found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


@pytest.fixture(scope="module")
def approximate() -> Model:
    return Model(graph(embeddings()))


@pytest.fixture(scope="module")
def exact() -> Model:
    return Model(ExactIndex.build(ArrayRows(embeddings()), "cosine"))


def test_an_answer_is_checked_against_all_rows(approximate: Model) -> None:
    index = approximate.index
    vector = embeddings(1, seed=8)
    distances, _ = index.exact.kneighbors(vector, 10)  # type: ignore[union-attr]
    whole = Answer(index.exact, vector, None, None, distances[0])  # type: ignore[union-attr]
    assert (10, 10) == whole.check()
    worse = distances[0].copy()
    worse[7:] += 0.5
    assert (7, 10) == whole._replace(distances=worse).check()
    few = np.zeros(index.n_samples, np.bool_)
    few[:4] = True
    assert 4 == whole._replace(mask=few).check()[1]


def test_the_recall_of_approximate_answers_is_that_of_brute_force(approximate: Model) -> None:
    async def work() -> None:
        observer, telemetry = observed()
        hold, wanted, found = Counted(), 0, 0
        for n in range(40):
            vector = embeddings(1, seed=100 + n)
            query, answer = asked(approximate, vector, "k=10")
            # Half of the answers are made worse: of the neighbours, seven are right.
            if n % 2:
                distances = np.array(answer.distances)
                distances[:, 7:] += 1.0
                answer = Found(distances, answer.indices)
            observer.saw(approximate, query, answer, hold)
            wanted += 10
            found += 7 if n % 2 else 10
            done = n + 1
            await until(lambda: checks(telemetry) == done)  # noqa: B023 - awaited at once
        recall = telemetry.measured()["kneighbors_index_recall"]
        assert recall is not None
        assert found / wanted == pytest.approx(recall, abs=0.02)
        await until(lambda: hold.held <= 1)  # what measures the corpus may hold it still
        assert hold.total >= 40
        observer.stop()

    run(work)


def checks(telemetry: Telemetry) -> float:
    return telemetry.measured()["kneighbors_index_recall_checks"] or 0


def test_exact_answers_are_not_checked_again(exact: Model) -> None:
    async def work() -> None:
        observer, telemetry = observed()
        for _ in range(50):
            observer.saw(exact, *asked(exact, embeddings(1)), NO_HOLD)
        assert 0 == checks(telemetry)
        assert 'kneighbors_rechecks_total{outcome="dropped"} 0' in telemetry.exposition({})
        assert telemetry.measured()["kneighbors_index_recall"] is None
        observer.stop()

    run(work)


def test_a_share_of_none_checks_nothing(approximate: Model) -> None:
    async def work() -> None:
        observer, telemetry = observed(0.0)
        hold = Counted()
        for _ in range(50):
            observer.saw(approximate, *asked(approximate, embeddings(1)), hold)
        assert (0, 1) == (checks(telemetry), hold.total)  # once, for the held-out rows
        observer.stop()

    run(work)


def test_queries_like_the_corpus_do_not_drift_and_others_do(exact: Model) -> None:
    async def work() -> None:
        observer, telemetry = observed()

        def drift_of(X: np.ndarray) -> tuple[float, float]:
            query, found = asked(exact, X, "k=2")
            for n in range(1024):
                one = slice(n, n + 1)
                nearest = Found(found.distances[one], found.indices[one])
                observer.saw(exact, query.part(one), nearest, NO_HOLD)
            measured = telemetry.measured()
            assert 1024 == measured["kneighbors_query_drift_queries"]
            drift, far = measured["kneighbors_query_drift"], measured["kneighbors_query_far_share"]
            assert drift is not None
            assert far is not None
            return drift, far

        observer.saw(exact, *asked(exact, embeddings(1)), NO_HOLD)
        await until(lambda: known(observer))
        same, far = drift_of(embeddings(1024, seed=7))
        assert same < 0.15
        assert far < 0.25
        other, far = drift_of(RANDOM.standard_normal((1024, 24)))
        assert other > 1
        assert far > 0.9
        back, _ = drift_of(embeddings(1024, seed=7))
        assert same == pytest.approx(back)  # the window forgets
        observer.stop()

    run(work)


def known(observer: Observer) -> bool:
    return observer._drift._bins is not None


def test_another_model_begins_anew_and_late_answers_of_the_first_do_not_count(
    exact: Model, approximate: Model
) -> None:
    async def work() -> None:
        observer, telemetry = observed()
        first, second = Counted(), Counted()
        observer.saw(approximate, *asked(approximate, embeddings(1), "k=10"), first)
        await until(lambda: checks(telemetry) == 1 and known(observer))
        assert 0 == first.held
        observer.saw(exact, *asked(exact, embeddings(1)), second)
        assert (0, False) == (checks(telemetry), known(observer))
        observer.saw(approximate, *asked(approximate, embeddings(1), "k=10"), first)
        await until(lambda: known(observer))
        assert 0 == checks(telemetry)
        assert (0, 0) == (first.held, second.held)
        observer.stop()

    run(work)


def test_a_model_that_is_left_while_it_is_measured_is_let_go_at_once(
    exact: Model, approximate: Model
) -> None:
    async def work() -> None:
        observer, _ = observed()
        observer._spare._rest = 1e9  # it rests after the first step
        first, second = Counted(), Counted()
        observer.saw(exact, *asked(exact, embeddings(1)), first)
        assert 1 == first.held
        observer.saw(approximate, *asked(approximate, embeddings(1)), second)
        assert 0 == first.held
        observer.stop()

    run(work)


def test_a_fault_of_the_observer_fails_no_request(
    exact: Model, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        observer, _ = observed()
        query, _ = asked(exact, embeddings(1))
        observer._drift._bins = Bins(np.ones((64, 2)), can_be_same=True)
        observer.saw(exact, query, Found([], []), NO_HOLD)
        observer._drift._bins = Bins(np.ones((64, 2)), can_be_same=True)
        observer.saw(exact, query, Found([], []), NO_HOLD)
        observer.stop()

    run(work)
    assert "an answer could not be taken note of" in caplog.text


def test_a_row_is_not_its_own_neighbour_in_the_bins() -> None:
    nearest = np.stack([np.zeros(100), np.linspace(1, 2, 100)], axis=1)
    bins = Bins(nearest, can_be_same=True)
    assert [10] * 10 == bins.held_out
    assert (0, 9, None) == (bins.place([0.0, 1.0]), bins.place([5.0]), bins.place([1e-9]))
    products = Bins(-nearest, can_be_same=False)
    assert products.place([-1e9]) == 0


def test_the_stability_index_is_that_of_its_definition() -> None:
    p, q = RANDOM.integers(50, 500, (2, 10)).astype(float)
    shares = [(one + 0.5) / (one + 0.5).sum() for one in (p, q)]
    expected = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    assert math.isclose(expected, stability_index(p.tolist(), q.tolist()))
    assert stability_index([0.0] * 10, [5.0] * 10) == pytest.approx(0)
