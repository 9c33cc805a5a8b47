"""What is going on now: a supervising thread for each job and endpoint."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kneighbors.local.containers import ROOT_MARK, sweep

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

LOG = logging.getLogger("kneighbors.local")

Supervisor = Callable[["Task"], None]
Recovery = Callable[["Plane"], None]

#: What mends the records of each kind when a plane starts; filled by `recovery`.
RECOVERIES: list[Recovery] = []


class Task:
    """A live thing.

    Attributes
    ----------
    stop : threading.Event
        Set when it has to end.
    is_closing : bool
        Whether it has to end because the plane does, rather than by a client's wish.
    facts : dict
        What its supervisor lets others see, such as its containers.
    """

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        self.stop = threading.Event()
        self.is_closing = False
        self.facts: dict[str, Any] = {}
        self.thread: threading.Thread | None = None

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end; tell whether it has come."""
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join(timeout)
            return not self.thread.is_alive()
        return self.thread is None


class Running:
    """The live things of a plane; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[tuple[str, str], Task] = {}
        self._is_closing = False

    def start(self, kind: str, name: str, supervisor: Supervisor) -> Task:
        """Run a supervisor in a thread of its own.

        Parameters
        ----------
        kind, name : str
            Of its record.
        supervisor : callable
            Called with the task; it returns when the thing has ended. It deals with its errors
            itself: what it raises is logged, and no more.
        """
        task = Task(kind, name)

        def run() -> None:
            try:
                supervisor(task)
            except Exception:
                LOG.exception("the supervisor of %s %s failed", kind, name)
            finally:
                with self._lock:
                    if self._tasks.get((kind, name)) is task:
                        del self._tasks[kind, name]

        task.thread = threading.Thread(target=run, name=f"{kind} {name}", daemon=True)
        with self._lock:
            if self._is_closing:
                task.is_closing = True
                task.stop.set()
            self._tasks[kind, name] = task
            task.thread.start()
        return task

    def get(self, kind: str, name: str) -> Task | None:
        """Return a live thing; None where it has ended or never was."""
        with self._lock:
            return self._tasks.get((kind, name))

    def all(self) -> list[Task]:
        """Return all live things."""
        with self._lock:
            return list(self._tasks.values())

    def stop_all(self, grace_s: float) -> bool:
        """Ask all to end; tell whether they have, after so many seconds at most each."""
        with self._lock:
            self._is_closing = True
        tasks = self.all()
        for task in tasks:
            task.is_closing = True
            task.stop.set()
        ended = [task.join(grace_s) for task in tasks]
        return all(ended)


def recovery(function: Recovery) -> Recovery:
    """Register what mends a kind of record when a plane starts on a root that was in use."""
    RECOVERIES.append(function)
    return function


def end_left_overs(root: Path) -> int:
    """End the containers' processes that an earlier plane of this root left; return how many."""
    return sweep(ROOT_MARK, str(root.absolute()))


def recover(plane: Plane) -> None:
    """Bring a plane's state in order, before it answers anyone."""
    left_over = end_left_overs(plane.root)
    if left_over:
        LOG.warning("ended %d processes that an earlier control plane left behind", left_over)
    for function in RECOVERIES:
        function(plane)
