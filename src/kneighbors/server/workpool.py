"""Threads for what takes the processor, and a bounded queue before them.

The event loop must never search: while it does, no ping is answered. What does not fit into the
queue is refused at once, so that those who wait are answered while somebody still listens.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from kneighbors.server.refusals import HTTPRefused, late

T = TypeVar("T")


class Hold:
    """What must not go away while it is in use; this one counts nothing.

    Both methods are called in the event loop's thread.
    """

    def acquire(self) -> None:
        """Count one more use."""

    def release(self) -> None:
        """Count one use less."""


NO_HOLD = Hold()


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    work: Callable[[], T]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    hold: Hold
    queued: float = field(default_factory=time.perf_counter)
    started: float = 0.0
    is_wanted: bool = True
    is_over: bool = False


class WorkPool:
    """A fixed number of threads and a bounded number of jobs that wait for one.

    Parameters
    ----------
    threads : int
        Jobs that run at a time.
    max_waiting : int
        Jobs and requests that wait.
    on_change : callable, optional
        Told how many wait, whenever that may have changed.

    Attributes
    ----------
    unfinished : int
        Jobs and requests that have been let in; a job counts until whoever waits for it goes on,
        so that no place is free in between.
    in_batch : int
        Of these, requests that share the search which runs now.

    Notes
    -----
    All methods belong to the event loop's thread.
    """

    def __init__(
        self, threads: int, max_waiting: int, on_change: Callable[[int], None] = lambda _: None
    ) -> None:
        self._threads = threads
        self._on_change = on_change
        self._most = threads + max_waiting
        self._jobs: SimpleQueue[_Job[Any]] = SimpleQueue()
        self._started = False
        self.unfinished = 0
        self.in_batch = 0

    @property
    def _counted(self) -> int:
        # A batch takes one thread, however many requests are in it.
        return self.unfinished - max(0, self.in_batch - 1)

    @property
    def waiting(self) -> int:
        """Number of jobs and requests that wait for a thread or a batch."""
        return max(0, self._counted - self._threads)

    def check_room(self) -> None:
        """Refuse when one more would be too many.

        Raises
        ------
        HTTPRefused
            With code ``overloaded``.
        """
        if self._counted >= self._most:
            raise HTTPRefused(
                "overloaded",
                f"Expected fewer requests at a time; {self.waiting} are waiting already.",
            )

    def count(self, change: int) -> None:
        """Count a request that takes a place without a job of its own, or stop counting it."""
        self.unfinished += change
        self._on_change(self.waiting)

    async def run(
        self,
        work: Callable[[], T],
        timeout_s: float,
        *,
        hold: Hold = NO_HOLD,
        is_admitted: bool = False,
    ) -> tuple[T, float]:
        """Run a job in a thread.

        Parameters
        ----------
        work : callable
            What it raises is raised here.
        timeout_s : float
            Seconds, waiting included. A job that has begun cannot be stopped, but is not waited
            for any longer; one that has not is dropped.
        hold : Hold, optional
            Acquired until the job has ended, also where nobody waits for it any more.
        is_admitted : bool, default=False
            Whether it is more of what has been let in before, and finds room in any case.

        Returns
        -------
        result : object
            What `work` returned.
        waited_s : float
            Seconds that it had to wait for a thread.

        Raises
        ------
        HTTPRefused
            With code ``overloaded`` or ``answer-timeout``.
        """
        if not is_admitted:
            self.check_room()
        self.count(1)
        job = self._put(work, hold)
        try:
            async with asyncio.timeout(timeout_s):
                result = await job.future
        except TimeoutError:
            if job.future.done() and not job.future.cancelled():
                raise  # the work's own
            raise late() from None
        finally:
            job.is_wanted = False
            if job.is_over:
                self.count(-1)
        return result, job.started - job.queued

    def start(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Run a job in a thread, for requests that are counted already."""
        return self._put(work, NO_HOLD).future

    def _put(self, work: Callable[[], T], hold: Hold) -> _Job[T]:
        self._start()
        loop = asyncio.get_running_loop()
        job: _Job[T] = _Job(work, loop, loop.create_future(), hold)
        hold.acquire()
        self._jobs.put(job)
        return job

    def _start(self) -> None:
        # Not before the first job: the parent may make a pool and fork afterwards.
        if self._started:
            return
        self._started = True
        for number in range(self._threads):
            name = f"kneighbors-search-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._run(self._jobs.get())

    def _run(self, job: _Job[Any]) -> None:
        result: Any = None
        error: BaseException | None = None
        if job.is_wanted:
            job.started = time.perf_counter()
            try:
                result = job.work()
            except BaseException as caught:  # it belongs to whoever waits for the job
                error = caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            job.loop.call_soon_threadsafe(self._finish, job, result, error)

    def _finish(self, job: _Job[Any], result: Any, error: BaseException | None) -> None:
        job.is_over = True
        if not job.is_wanted:  # else whoever waits for it counts, until it goes on
            self.count(-1)
        job.hold.release()
        if job.future.done():
            return
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
