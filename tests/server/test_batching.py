"""Searches are shared, and nobody notices by the answer."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import ItemsRefused
from kneighbors.formats import JSON
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Found, Query
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.server.batching import Batcher
from kneighbors.server.bodies import ClientGone
from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.workpool import Hold, WorkPool

X = np.random.default_rng(5).standard_normal((300, 4))


class Watched(Model):
    """A model that notes what it is asked for, and can be kept waiting or made to fail."""

    def __init__(self) -> None:
        super().__init__(ExactIndex.build(ArrayRows(X), "euclidean"))
        self.asked: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.has_begun = threading.Event()
        self.fault: Callable[[Sequence[Query]], None] = lambda queries: None

    def find(self, queries: Sequence[Query]) -> list[Found]:
        self.asked.append([len(query) for query in queries])
        self.has_begun.set()
        assert self.gate.wait(20)
        self.fault(queries)
        return super().find(queries)

    def of(self, rows: int, **parameters: Any) -> Query:
        return self.read(json.dumps({"instances": X[:rows].tolist(), **parameters}).encode(), JSON)


class Counted(Hold):
    uses = 0

    def acquire(self) -> None:
        self.uses += 1

    def release(self) -> None:
        self.uses -= 1


def batcher(rows: int = 64, wait_s: float = 0.0) -> Batcher:
    """Return one that searches in a thread, as a search that takes long does."""
    return Batcher(WorkPool(1, 64), rows, wait_s, short_s=0.0)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(work(), 30)

    asyncio.run(limited())


async def held_up(model: Watched, one: Batcher) -> asyncio.Task[Any]:
    """Begin a search that ends when the model's gate is opened."""
    model.gate.clear()
    first = asyncio.create_task(one.find(model, model.of(1), 20))
    assert await asyncio.to_thread(model.has_begun.wait, 20)
    return first


def same(model: Watched, query: Query, found: Found) -> bool:
    (alone,) = Model.find(model, [query])
    return bool(model.write(query, alone).body == model.write(query, found).body)


def test_what_arrives_in_the_same_moment_is_searched_for_together() -> None:
    async def work() -> None:
        model, one = Watched(), batcher()
        queries = [model.of(rows, k=k) for rows, k in ((1, 3), (2, 3), (1, 7))]
        found = await asyncio.gather(*(one.find(model, query, 20) for query in queries))
        assert [[1, 2, 1]] == model.asked
        for query, (answer, waited_s, searched_s) in zip(queries, found, strict=True):
            assert same(model, query, answer)
            assert 0 <= waited_s < 20
            assert 0 < searched_s < 20

    run(work)


def test_what_arrives_during_a_search_is_the_next_one() -> None:
    async def work() -> None:
        model, one = Watched(), batcher()
        first = await held_up(model, one)
        rest = [asyncio.create_task(one.find(model, model.of(n), 20)) for n in (1, 2, 3)]
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(first, *rest)
        assert [[1], [1, 2, 3]] == model.asked

    run(work)


def test_a_short_search_is_done_in_the_loops_own_thread() -> None:
    async def work() -> None:
        model = Watched()
        one = Batcher(WorkPool(1, 64), 64, short_s=10.0)
        threads: list[str] = []
        model.fault = lambda queries: threads.append(threading.current_thread().name)
        for _ in range(10):
            await one.find(model, model.of(1), 20)
        assert ["kneighbors-search-0"] * 8 + [threading.current_thread().name] * 2 == threads

    run(work)


def test_a_request_of_many_queries_is_cut_and_its_answer_is_whole() -> None:
    async def work() -> None:
        model, one = Watched(), batcher(rows=8)
        for parameters in ({}, {"radius": 0.9}, {"exclude_ids": [0, 1, 2]}):
            model.asked.clear()
            query = model.of(30, k=3, **parameters)
            found, _, _ = await one.find(model, query, 20)
            assert [[8], [8], [8], [6]] == model.asked
            assert same(model, query, found)

    run(work)


def test_single_queries_do_not_wait_for_a_large_request() -> None:
    async def work() -> None:
        model, one = Watched(), batcher(rows=8)
        ended: list[str] = []

        async def ask(name: str, rows: int) -> None:
            await one.find(model, model.of(rows), 20)
            ended.append(name)

        large = asyncio.create_task(ask("large", 200))
        assert await asyncio.to_thread(model.has_begun.wait, 20)
        await asyncio.gather(large, *(ask("small", 1) for _ in range(5)))
        assert ["small"] * 5 + ["large"] == ended

    run(work)


def test_one_that_fails_fails_alone() -> None:
    async def work() -> None:
        model, one = Watched(), batcher()

        def fault(queries: Sequence[Query]) -> None:
            for query in queries:
                if query.n_neighbors == 13:
                    raise ItemsRefused("id-unknown", "Expected another number.")

        model.fault = fault
        queries = [model.of(1, k=13 if place == 5 else 4) for place in range(9)]
        found = await asyncio.gather(
            *(one.find(model, query, 20) for query in queries), return_exceptions=True
        )
        for place, (query, answer) in enumerate(zip(queries, found, strict=True)):
            if place == 5:
                assert isinstance(answer, ItemsRefused)
            else:
                assert not isinstance(answer, BaseException)
                assert same(model, query, answer[0])

    run(work)


def test_a_batch_that_memory_does_not_suffice_for_is_split() -> None:
    async def work() -> None:
        model, one = Watched(), batcher()

        def fault(queries: Sequence[Query]) -> None:
            if sum(map(len, queries)) > 2:
                raise MemoryError

        model.fault = fault
        queries = [model.of(rows) for rows in (1, 5, 1)]
        found = await asyncio.gather(*(one.find(model, query, 20) for query in queries))
        assert all(same(model, q, answer[0]) for q, answer in zip(queries, found, strict=True))

    run(work)


def test_a_single_query_that_memory_does_not_suffice_for_gets_the_error() -> None:
    async def work() -> None:
        model, one = Watched(), batcher()

        def fault(queries: Sequence[Query]) -> None:
            raise MemoryError

        model.fault = fault
        with pytest.raises(MemoryError):
            await one.find(model, model.of(3), 20)

    run(work)


def test_a_request_that_waits_too_long_is_late_and_the_others_are_not() -> None:
    async def work() -> None:
        model, one, hold = Watched(), batcher(), Counted()
        first = await held_up(model, one)
        late = asyncio.create_task(one.find(model, model.of(2), 0.01, hold=hold))
        patient = asyncio.create_task(one.find(model, model.of(3), 20, hold=hold))
        with pytest.raises(HTTPRefused) as refused:
            await late
        assert "answer-timeout" == refused.value.code
        model.gate.set()
        await asyncio.gather(first, patient)
        assert [[1], [3]] == model.asked
        assert 0 == hold.uses

    run(work)


def test_a_client_that_has_left_is_not_searched_for() -> None:
    async def work() -> None:
        model, one, hold = Watched(), batcher(), Counted()
        first = await held_up(model, one)
        gone = asyncio.create_task(
            one.find(model, model.of(2), 20, hold=hold, is_gone=lambda: True)
        )
        cancelled = asyncio.create_task(one.find(model, model.of(3), 20, hold=hold))
        stays = asyncio.create_task(one.find(model, model.of(4), 20, hold=hold))
        await asyncio.sleep(0)
        cancelled.cancel()
        model.gate.set()
        with pytest.raises(ClientGone):
            await gone
        await asyncio.gather(first, stays)
        assert [[1], [4]] == model.asked
        assert 0 == hold.uses

    run(work)


def test_a_large_request_whose_time_is_over_is_not_searched_for_any_further() -> None:
    async def work() -> None:
        model, hold = Watched(), Counted()
        one = batcher(rows=4)
        model.gate.clear()
        large = asyncio.create_task(one.find(model, model.of(20), 0.05, hold=hold))
        assert await asyncio.to_thread(model.has_begun.wait, 20)
        with pytest.raises(HTTPRefused):
            await large
        assert 1 == hold.uses  # the search goes on
        model.gate.set()
        await one.find(model, model.of(1), 20)
        assert [[4], [1]] == model.asked
        assert 0 == hold.uses

    run(work)


def test_an_idle_server_waits_for_company_if_it_is_told_to_and_no_longer_than_for_a_batch() -> None:
    async def work() -> None:
        model, one = Watched(), batcher(rows=3, wait_s=15.0)
        tasks = [asyncio.create_task(one.find(model, model.of(1), 20)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not model.has_begun.is_set()
        await asyncio.gather(*tasks, one.find(model, model.of(1), 20))
        assert [[1, 1, 1]] == model.asked

    run(work)


def test_models_have_batches_of_their_own() -> None:
    async def work() -> None:
        models, one = [Watched(), Watched()], batcher()
        await asyncio.gather(
            *(one.find(models[place % 2], models[0].of(1), 20) for place in range(6))
        )
        assert [[[1, 1, 1]]] * 2 == [model.asked for model in models]

    run(work)


def test_what_shares_a_search_takes_one_place_of_those_that_wait() -> None:
    async def work() -> None:
        model, pool = Watched(), WorkPool(1, 2)
        one = Batcher(pool, 64, short_s=0.0)
        model.gate.clear()
        pool.count(3)
        with pytest.raises(HTTPRefused):
            pool.check_room()
        tasks = [asyncio.create_task(one.find(model, model.of(1), 20)) for _ in range(3)]
        assert await asyncio.to_thread(model.has_begun.wait, 20)
        assert 0 == pool.waiting
        pool.check_room()
        model.gate.set()
        await asyncio.gather(*tasks)
        pool.count(-3)
        assert (0, 0) == (pool.unfinished, pool.in_batch)

    run(work)


def test_one_more_is_refused_while_many_have_waited_for_long() -> None:
    async def work() -> None:
        model = Watched()
        one = Batcher(WorkPool(1, 64), 64, short_s=0.0, max_wait_s=0.2)
        first = await held_up(model, one)
        few = [asyncio.create_task(one.find(model, model.of(1), 20)) for _ in range(31)]
        await asyncio.sleep(0.25)
        one.check_wait()  # they fit into the next batch
        few.append(asyncio.create_task(one.find(model, model.of(1), 20)))
        await asyncio.sleep(0)
        with pytest.raises(HTTPRefused) as refused:
            one.check_wait()
        assert refused.value.code == "overloaded"
        model.gate.set()
        await asyncio.gather(first, *few)
        one.check_wait()
        # Many that have only just come are no reason.
        first = await held_up(model, one)
        many = [asyncio.create_task(one.find(model, model.of(1), 20)) for _ in range(40)]
        await asyncio.sleep(0)
        one.check_wait()
        model.gate.set()
        await asyncio.gather(first, *many)

    run(work)
