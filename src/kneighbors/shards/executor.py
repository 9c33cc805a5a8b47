"""Where shards are searched: in this thread, in some threads, or wherever else one puts them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from kneighbors.artifact import Artifact
from kneighbors.errors import ParameterRefused
from kneighbors.shards.tasks import Task

T = TypeVar("T")


class Executor(Protocol):
    """Runs tasks where shards are opened.

    Safe to use from several threads. What a task raises is raised by its future; after that, the
    executor goes on with others. A shard that nobody holds at the moment is a `ClusterError` with
    the code ``shard-unavailable``, and one may go on without it.
    """

    @property
    def slots(self) -> int:
        """How many tasks one search keeps under way: more would wait, and know less."""

    def submit(self, shard: int, task: Task[T]) -> Future[T]:
        """Begin a task with the shard of that number, and return at once or when it is done."""

    def close(self) -> None:
        """Let go of the shards; tasks that were begun are ended first."""


class LocalExecutor:
    """Shards that are opened in this process.

    Parameters
    ----------
    artifacts : sequence of Artifact
        The shards, in their order.
    threads : int, default=1
        With one, tasks run one after another in the thread that submits them; the products of each
        use the threads of the BLAS all the same. More read from slow disks at the same time.

    Raises
    ------
    ParameterRefused
        With code ``parameter-range`` for fewer than one thread.
    """

    def __init__(self, artifacts: Sequence[Artifact], threads: int = 1) -> None:
        if threads < 1:
            raise ParameterRefused("parameter-range", f"Expected 1 thread or more, got {threads}.")
        self.slots = min(threads, len(artifacts))
        self._artifacts = list(artifacts)
        self._pool = ThreadPoolExecutor(self.slots, "shard") if self.slots > 1 else None

    def submit(self, shard: int, task: Task[T]) -> Future[T]:
        """Begin a task."""
        artifact = self._artifacts[shard]
        if self._pool is not None:
            return self._pool.submit(task, artifact)
        future: Future[T] = Future()
        try:
            future.set_result(task(artifact))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Let go of the shards."""
        if self._pool is not None:
            self._pool.shutdown()
        for artifact in self._artifacts:
            artifact.close()
