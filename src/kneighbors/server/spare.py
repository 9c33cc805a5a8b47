"""Work that nobody waits for: one thread of low priority that rests longer than it works.

What does not fit into the short queue is dropped. So whatever is done here, requests are not
slowed by more than a few hundredths of a core.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue

from kneighbors.server.logs import LOG

#: Rests are so many times as long as what they follow: a twentieth of a core at most is used.
_REST = 19
_QUEUED = 8

Work = Callable[[], None]


class SpareTime:
    """One thread for what is good to know.

    It starts with the first work.

    Parameters
    ----------
    queued : int, default=8
        Pieces of work that wait at most.
    rest : float, default=19
        How many times as long as a piece of work the rest after it is.
    """

    def __init__(self, queued: int = _QUEUED, rest: float = _REST) -> None:
        self._queue: Queue[Work] = Queue(queued)
        self._rest = rest
        self._steps: Iterator[None] | None = None
        self._is_steps_turn = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def offer(self, work: Work) -> bool:
        """Do something soon, unless there is too much to do already; return whether it will be."""
        try:
            self._queue.put_nowait(work)
        except Full:
            return False
        self._start()
        return True

    def take_up(self, steps: Iterator[None]) -> None:
        """Take one step after another, in turn with other work.

        What was taken up before is dropped.
        """
        self._steps = steps
        self.offer(_nothing)  # which wakes the thread; one that has work is awake

    def stop(self) -> None:
        """End after the piece of work that is being done."""
        self._stop.set()
        if self._thread is not None:
            self.offer(_nothing)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="kneighbors-spare", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        give_way()
        while not self._stop.is_set():
            begin = time.perf_counter()
            self._do(self._next())
            self._stop.wait(self._rest * (time.perf_counter() - begin))

    def _next(self) -> Work:
        """Return a piece of work, and every other time a step if there are any."""
        steps = self._steps
        self._is_steps_turn = steps is not None and not self._is_steps_turn
        if not self._is_steps_turn:
            with suppress(Empty):
                return self._queue.get(block=steps is None)
        return lambda: self._step(steps)

    def _step(self, steps: Iterator[None] | None) -> None:
        if steps is not None and next(steps, self) is self and self._steps is steps:
            self._steps = None

    def _do(self, work: Work) -> None:
        try:
            work()
        except BaseException:
            LOG.exception("what nobody waits for failed")


def give_way() -> None:
    """Lower the priority of this thread, unless it is the first, which is not ours."""
    if threading.current_thread() is threading.main_thread():
        return
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    except OSError:  # pragma: no cover - a system that does not allow it
        return


def _nothing() -> None:
    pass
