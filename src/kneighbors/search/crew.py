"""The threads that work on one call together: the caller's own, and helpers that are idle.

Helpers are shared by all calls of the process. A call takes those that are idle and waits for none
that has not begun, so that it is never slower for having asked.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

#: More threads than this gain nothing: the memory is busy.
_MOST_THREADS = 8
#: What programs set to say how many threads arithmetic may use.
_LIMITS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class _Helpers:
    """Threads that wait for work."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start anew."""
        count = max(threads() - 1, 0)
        self.idle = threading.Semaphore(count)
        # Threads are started when they are first needed.
        self.pool = ThreadPoolExecutor(max(count, 1), "kneighbors-search")


def threads() -> int:
    """Return how many threads may work on one call."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    for name in _LIMITS:
        limit = os.environ.get(name, "").strip()
        if limit.isdigit() and int(limit) > 0:
            count = min(count, int(limit))
    return min(count, _MOST_THREADS)


def together(work: Callable[[], None], most: int) -> None:
    """Do `work` on this thread and, at the same time, on idle helpers.

    Parameters
    ----------
    work : callable
        Takes one piece of the work after another, until none is left, and returns.
    most : int
        Threads that have anything to do.
    """
    helpers = _helpers
    helped: list[Future[None]] = []
    try:
        while len(helped) < most - 1 and helpers.idle.acquire(blocking=False):
            helped.append(helpers.pool.submit(work))
        work()
    finally:
        # One that has not begun finds nothing left to do.
        begun = [future for future in helped if not future.cancel()]
        for future in begun:
            future.exception()
        for _ in helped:
            helpers.idle.release()
    for future in begun:
        future.result()


_helpers = _Helpers()
# A child process has no threads but its own, nor what they held.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.renew)
