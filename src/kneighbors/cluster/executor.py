"""An executor whose shards are on the machines of a cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, TypeVar

from kneighbors.cluster.connecting import connect
from kneighbors.cluster.moving import PERIOD_S, Mover
from kneighbors.cluster.placing import Host, Hosts
from kneighbors.errors import ClusterError, ParameterRefused
from kneighbors.shards.gathering import UNAVAILABLE
from kneighbors.shards.manifest import ShardEntry
from kneighbors.shards.opening import read_manifest
from kneighbors.shards.tasks import Task

T = TypeVar("T")

#: Seconds without an answer after which another copy of the shard is asked as well.
HEDGE_S = 0.25
_WATCH_S = 0.05


class RayExecutor:
    """Shards that are opened by actors of a cluster; what `kneighbors.shards.Executor` asks for.

    A task goes to one copy of its shard. Where that fails, it goes to the next; where it does not
    answer within `HEDGE_S`, to the next as well, and the first answer counts. A copy that was
    overtaken or has failed is not asked until it answers again.

    Parameters
    ----------
    path : str or Path
        Directory of an artifact in shards, at the same path on every machine.
    address : str, default="auto"
        As of `kneighbors.cluster.connect`.
    replicas : int, default=1
        Copies of each shard.
    rebalance_s : float, default=10.0
        Seconds between two looks at whether a copy had better be on another machine, because one
        has joined; 0 never moves any.

    Raises
    ------
    ClusterError
        As `connect`; ``cluster-worker`` where a machine cannot open a shard.
    ArtifactError, StorageError
        As `kneighbors.shards.open_sharded`, wherever a shard is opened.
    """

    def __init__(
        self,
        path: str | Path,
        address: str = "auto",
        *,
        replicas: int = 1,
        rebalance_s: float = PERIOD_S,
    ) -> None:
        if replicas < 1:
            raise ParameterRefused("parameter-range", f"Expected 1 copy or more, got {replicas}.")
        source = Path(path).resolve()
        manifest = read_manifest(source)
        self._shards = manifest.shards
        self._ray = connect(address)
        self.hosts = Hosts(self._ray, source, manifest, replicas)
        self._mover = Mover(self.hosts, rebalance_s) if rebalance_s > 0 else None
        self.slots = len(self._shards)
        self._attempts: set[_Attempt[Any]] = set()
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="kneighbors-hedge", daemon=True)
        self._watching.start()

    def submit(self, shard: int, task: Task[T]) -> Future[T]:
        """Begin a task."""
        attempt = _Attempt(self, self._shards[shard], shard, task)
        with self._lock:
            self._attempts.add(attempt)
        attempt.future.add_done_callback(lambda future: self._forget(attempt))
        attempt.ask()
        return attempt.future

    def send(self, host: Host, task: Any) -> Future[Any]:
        """Give a task to a host; its future holds an outcome, or why the host has none."""
        return host.actor.run.remote(task).future()  # type: ignore[no-any-return]

    def listen(self, tell: Callable[[str], None]) -> None:
        """Have the names of the counters of what happens to hosts told; from any thread."""
        self.hosts.tell = tell

    def close(self) -> None:
        """End the hosts, after what is under way."""
        with self._lock:
            waiting = [attempt.future for attempt in self._attempts]
        for future in waiting:
            future.exception()
        self._is_closed.set()
        self._watching.join()
        if self._mover is not None:
            self._mover.close()
        self.hosts.close()

    def _forget(self, attempt: _Attempt[Any]) -> None:
        with self._lock:
            self._attempts.discard(attempt)

    def _watch(self) -> None:
        while not self._is_closed.wait(_WATCH_S):
            now = time.monotonic()
            with self._lock:
                late = [one for one in self._attempts if now - one.asked_s > HEDGE_S]
            for attempt in late:
                attempt.hedge()


class _Attempt(Generic[T]):
    """One task, and who has been asked to do it."""

    def __init__(self, executor: RayExecutor, entry: ShardEntry, shard: int, task: Task[T]) -> None:
        self.future: Future[T] = Future()
        self.asked_s = time.monotonic()
        self._executor = executor
        self._entry = entry
        self._shard = shard
        self._task = task
        self._tried: list[Host] = []
        self._left = 0
        self._lock = threading.Lock()

    def ask(self) -> None:
        """Ask the next host; where none is left to ask or to wait for, fail."""
        with self._lock:
            host = self._executor.hosts.choose(self._shard, self._tried)
            if host is None:
                is_lost = self._left == 0
            else:
                self._tried.append(host)
                self._left += 1
                self.asked_s = time.monotonic()
                is_lost = False
        if is_lost:
            self._settle(None, unavailable([self._entry]))
        if host is None:
            return
        try:
            answer = self._executor.send(host, self._task)
        except Exception:  # whatever Ray raises, the host cannot be reached
            self._failed(host)
            return
        answer.add_done_callback(lambda done: self._answered(host, done))

    def hedge(self) -> None:
        """Ask one more host, if there is one, because those that were asked are late."""
        with self._lock:
            self.asked_s = float("inf")
        self.ask()

    def _answered(self, host: Host, done: Future[Any]) -> None:
        if done.exception() is not None:
            self._failed(host)
            return
        result, refusal = done.result()
        with self._lock:
            self._left -= 1
            late = [other for other in self._tried[:-1] if other is not host]
        self._executor.hosts.release(host)
        if self._settle(result, refusal):
            # Those that were asked earlier and have not answered yet.
            for other in late:
                self._executor.hosts.suspect(other)

    def _failed(self, host: Host) -> None:
        with self._lock:
            self._left -= 1
        self._executor.hosts.release(host, is_up=False)
        if not self.future.done():
            self.ask()

    def _settle(self, result: Any, error: Exception | None) -> bool:
        with self._lock:
            if self.future.done():
                return False
            if error is not None:
                self.future.set_exception(error)
            else:
                self.future.set_result(result)
            return True


def unavailable(entries: Sequence[ShardEntry]) -> ClusterError:
    """Return the refusal that names the rows which nobody can search now."""
    rows = ", ".join(f"{one.first_row} to {one.stop - 1}" for one in entries)
    return ClusterError(
        UNAVAILABLE,
        f"Expected a machine that holds the rows {rows}, got none: it is being started again.",
        where="cluster",
        hint="Try again in some seconds, or serve with more replicas.",
    )
