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

from kneighbors.server.refusals import HTTPRefused

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


class WorkPool:
    """A fixed number of threads and a bounded number of jobs that wait for one.

    Parameters
    ----------
    threads : int
        Jobs that run at a time.
    max_waiting : int
        Jobs that wait.
    on_change : callable, optional
        Told how many jobs wait, whenever that may have changed.

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

    @property
    def waiting(self) -> int:
        """Number of jobs that wait for a thread."""
        return max(0, self.unfinished - self._threads)

    def check_room(self) -> None:
        """Refuse when one more job would be too many.

        Raises
        ------
        HTTPRefused
            With code ``overloaded``.
        """
        if self.unfinished >= self._most:
            raise HTTPRefused(
                "overloaded",
                f"Expected fewer requests at a time; {self.waiting} are waiting already.",
            )

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
        self._start()
        loop = asyncio.get_running_loop()
        job: _Job[T] = _Job(work, loop, loop.create_future(), hold)
        hold.acquire()
        self.unfinished += 1
        self._on_change(self.waiting)
        self._jobs.put(job)
        try:
            async with asyncio.timeout(timeout_s):
                result = await job.future
        except TimeoutError:
            if job.future.done() and not job.future.cancelled():
                raise  # the work's own
            raise HTTPRefused(
                "answer-timeout", f"Expected to answer within {timeout_s:g} s, but could not."
            ) from None
        finally:
            job.is_wanted = False
        return result, job.started - job.queued

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
        self.unfinished -= 1
        job.hold.release()
        self._on_change(self.waiting)
        if job.future.done():
            return
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
