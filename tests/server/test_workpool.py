"""Threads and the bounded queue before them."""

from __future__ import annotations

import asyncio
import threading
from typing import Never

import pytest

from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.workpool import WorkPool


def test_a_job_runs_in_another_thread_and_gives_its_result() -> None:
    async def run() -> None:
        pool = WorkPool(1, 0)
        thread, waited_s = await pool.run(threading.current_thread, 5)
        assert thread is not threading.current_thread()
        assert 0 <= waited_s < 5
        assert 0 == pool.unfinished

    asyncio.run(run())


def test_what_a_job_raises_is_raised_to_who_waits_for_it() -> None:
    def fail() -> Never:
        raise ZeroDivisionError("seven")

    def time_out() -> Never:
        raise TimeoutError("its own")

    async def run() -> None:
        pool = WorkPool(1, 1)
        with pytest.raises(ZeroDivisionError, match="seven"):
            await pool.run(fail, 5)
        with pytest.raises(TimeoutError, match="its own"):
            await pool.run(time_out, 5)
        assert (3, 0) == ((await pool.run(lambda: 3, 5))[0], pool.unfinished)

    asyncio.run(run())


def test_no_more_run_than_there_are_threads_and_no_more_wait_than_may() -> None:
    async def run() -> None:
        changes: list[int] = []
        pool = WorkPool(2, 3, changes.append)
        hold, running = threading.Event(), threading.Semaphore(0)

        def work() -> None:
            running.release()
            assert hold.wait(10)

        jobs = [asyncio.create_task(pool.run(work, 10)) for _ in range(5)]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(running.acquire, timeout=5)
        assert await asyncio.to_thread(running.acquire, timeout=5)
        assert not running.acquire(blocking=False)
        assert (5, 3) == (pool.unfinished, pool.waiting)
        with pytest.raises(HTTPRefused) as refused:
            await pool.run(work, 10)
        assert "overloaded" == refused.value.code
        hold.set()
        await asyncio.gather(*jobs)
        assert (0, 0) == (pool.unfinished, pool.waiting)
        assert (3, 0) == (max(changes), changes[-1])

    asyncio.run(run())


def test_a_job_that_nobody_waits_for_any_more_is_dropped() -> None:
    async def run() -> None:
        pool = WorkPool(1, 5)
        hold = threading.Event()
        ran: list[str] = []
        first = asyncio.create_task(pool.run(lambda: hold.wait(10), 10))
        late = asyncio.create_task(pool.run(lambda: ran.append("late"), 0.05))
        gone = asyncio.create_task(pool.run(lambda: ran.append("gone"), 10))
        last = asyncio.create_task(pool.run(lambda: ran.append("last"), 10))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(HTTPRefused) as refused:
            await late
        assert "answer-timeout" == refused.value.code
        hold.set()
        await asyncio.gather(first, last)
        assert ["last"] == ran
        assert 0 == pool.unfinished

    asyncio.run(run())
