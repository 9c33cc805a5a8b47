"""Where the hosts of shards are: started over the machines, looked after, asked in turn."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kneighbors.cluster.balance import Placement, best_node
from kneighbors.cluster.home import home_of
from kneighbors.cluster.host import ShardHost
from kneighbors.errors import ClusterError
from kneighbors.shards.manifest import ShardEntry, ShardsManifest

LOG = logging.getLogger("kneighbors.cluster")

#: Seconds between two looks at hosts that did not answer.
_LOOK_S = 0.5
#: Seconds in which a host that is looked at has to answer.
_ANSWER_S = 2.0
#: Seconds after which a host that could not open its shard is started anew.
_REST_S = 30.0
#: Seconds that opening all shards may take in the beginning.
_OPEN_S = 600.0


class Host:
    """One copy of a shard, and whether it is to be asked.

    Parameters
    ----------
    shard : int
    actor : Any
        The handle of its actor.
    node : str
        The machine that it is on.
    """

    __slots__ = ("actor", "is_slow", "is_up", "node", "shard", "started_s", "under_way")

    def __init__(self, shard: int, actor: Any, node: str) -> None:
        self.shard = shard
        self.actor = actor
        self.node = node
        self.started_s = time.monotonic()
        self.is_up = True
        self.is_slow = False
        self.under_way = 0


class Hosts:
    """All copies of all shards.

    A host that has failed is not asked until it has answered a question that costs nothing; Ray
    starts it again meanwhile, and where its machine is lost, we do on another. One that was
    overtaken by another is asked only where there is no other, until it has answered such a
    question.

    Parameters
    ----------
    ray : module
    path : Path
        The artifact, which every machine can read; or a copy of its ids and attributes, which says
        where the shards are.
    manifest : ShardsManifest
    replicas : int
        Copies of each shard, on different machines as far as there are enough.

    Attributes
    ----------
    of_shard : list of list of Host
    tell : callable
        Told the name of the counter of what happens; from any thread.
    patience_s : float
        Seconds that opening shards may take.
    """

    def __init__(self, ray: Any, path: Path, manifest: ShardsManifest, replicas: int) -> None:
        self._ray = ray
        self._home = home_of(path)
        self._manifest = manifest
        self.patience_s = _OPEN_S + self._home.seconds(manifest)
        self.tell: Callable[[str], None] = lambda name: None
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        nodes = self.nodes()
        self.of_shard: list[list[Host]] = [
            [self.start(shard, nodes[(shard + copy) % len(nodes)]) for copy in range(replicas)]
            for shard in range(len(manifest.shards))
        ]
        try:
            self._await_all()
        except BaseException:
            self._end_all()
            raise
        self._looking = threading.Thread(target=self._look, name="kneighbors-hosts", daemon=True)
        self._looking.start()

    def choose(self, shard: int, tried: Sequence[Host]) -> Host | None:
        """Return the host of a shard with least to do that was not tried; None if there is none."""
        with self._lock:
            able = [host for host in self.of_shard[shard] if host.is_up and host not in tried]
            if not able:
                return None
            host = min(able, key=lambda one: (one.is_slow, one.under_way))
            host.under_way += 1
            return host

    def release(self, host: Host, *, is_up: bool = True) -> None:
        """Say that a host is done with a task, and whether it may have the next."""
        with self._lock:
            host.under_way -= 1
            host.is_up = host.is_up and is_up

    def suspect(self, host: Host) -> None:
        """Prefer others until the host has answered a look."""
        with self._lock:
            host.is_slow = True

    def missing(self) -> list[ShardEntry]:
        """Return the shards of which no host is up."""
        with self._lock:
            pairs = zip(self._manifest.shards, self.of_shard, strict=True)
            return [entry for entry, hosts in pairs if not any(host.is_up for host in hosts)]

    def nodes(self) -> list[str]:
        """Return the machines that are up."""
        return sorted(one["NodeID"] for one in self._ray.nodes() if one["Alive"])

    def placement(self) -> Placement:
        """Return the machines that the copies of each shard are on."""
        with self._lock:
            return [[host.node for host in hosts] for hosts in self.of_shard]

    def start(self, shard: int, node: str) -> Host:
        """Start one more host on a machine; it is not asked before it is among `of_shard`."""
        return Host(shard, self._start(shard, node), node)

    def take(self, new: Host, old: Host, node: str) -> bool:
        """Let an open host take the place of one that is still on a machine; tell whether it is.

        From then on the old one is given no tasks.
        """
        with self._lock:
            hosts = self.of_shard[old.shard]
            if old not in hosts or old.node != node:
                return False
            hosts[hosts.index(old)] = new
            return True

    def is_idle(self, host: Host) -> bool:
        """Tell whether a host has nothing to do."""
        with self._lock:
            return not host.under_way

    def end(self, host: Host) -> None:
        """End a host."""
        if self._ray.is_initialized():
            self._ray.kill(host.actor)

    def opened(self, host: Host, stop: threading.Event, seconds: float) -> bool:
        """Wait until a host has opened its shard; tell whether it has.

        Raises
        ------
        KNeighborsError
            Why it cannot.
        ray.exceptions.RayError
            If it cannot be reached.
        """
        check = host.actor.check.remote()
        until = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < until:
            done, _ = self._ray.wait([check], timeout=0.2)
            if done:
                failure = self._ray.get(check)
                if failure is not None:
                    raise failure
                return True
        return False

    def close(self) -> None:
        """End all hosts."""
        self._is_closed.set()
        self._looking.join()
        self._end_all()

    def _end_all(self) -> None:
        for hosts in self.of_shard:
            for host in hosts:
                self.end(host)

    def _start(self, shard: int, node: str) -> Any:
        """Start an actor on a machine.

        A soft wish would not do: Ray may then put both copies of a shard on one machine.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from kneighbors import __version__

        # One thread of arithmetic for each: hosts share the cores of their machine.
        environment = {"env_vars": {"OPENBLAS_NUM_THREADS": "1", **self._home.variables}}
        remote = self._ray.remote(
            num_cpus=0,
            max_restarts=-1,
            # Another host is asked at once; repeating is no matter of the one that failed.
            max_task_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            runtime_env=environment,
            max_concurrency=2,
        )(ShardHost)
        entry = self._manifest.shards[shard]
        return remote.remote(self._home, entry, self._manifest, __version__)

    def _await_all(self) -> None:
        checks = [host.actor.check.remote() for hosts in self.of_shard for host in hosts]
        try:
            failures = self._ray.get(checks, timeout=self.patience_s)
        except self._ray.exceptions.GetTimeoutError:
            raise ClusterError(
                "cluster-unready",
                f"Expected all shards to be open within {self.patience_s:.0f} s, got fewer.",
                hint="`ray status` says what resources are missing.",
            ) from None
        except self._ray.exceptions.RayError as error:
            raise ClusterError(
                "cluster-worker",
                f"Expected machines that can open shards, got: {last_line(error)}",
                hint="Every machine needs kneighbors, and the artifact at the same path.",
            ) from None
        failure = next((one for one in failures if one is not None), None)
        if failure is not None:
            raise failure

    def _look(self) -> None:
        """Ask hosts that are not up or slow, until they answer."""
        while not self._is_closed.wait(_LOOK_S):
            with self._lock:
                every = [host for hosts in self.of_shard for host in hosts]
                down = [host for host in every if host.is_slow or not host.is_up]
            asked = {host.actor.check.remote(): host for host in down}
            until = time.monotonic() + _ANSWER_S
            while asked and time.monotonic() < until and not self._is_closed.is_set():
                done, _ = self._ray.wait(list(asked), timeout=0.1)
                for reference in done:
                    self._note(asked.pop(reference), reference)
            for reference in asked:
                self._ray.cancel(reference, force=False)

    def _note(self, host: Host, reference: Any) -> None:
        """Note what a look has found, and start a host on another machine if its own is no good."""
        errors = self._ray.exceptions
        try:
            failure = self._ray.get(reference)
        except (errors.ActorDiedError, errors.ActorUnschedulableError):
            self._start_elsewhere(host, "its machine is lost")
            return
        except errors.RayError:
            return
        if failure is None:
            with self._lock:
                host.is_up, host.is_slow = True, False
        elif time.monotonic() - host.started_s > _REST_S:
            self.end(host)
            self._start_elsewhere(host, str(failure))

    def _start_elsewhere(self, host: Host, why: str) -> None:
        lost = host.node
        nodes = [node for node in self.nodes() if node != lost] or self.nodes()
        with self._lock:
            if not nodes or host not in self.of_shard[host.shard]:  # it was let go
                return
            host.node = ""
            homes = [[one.node for one in hosts] for hosts in self.of_shard]
            host.node = best_node(homes, host.shard, nodes)
        host.actor, host.started_s = self._start(host.shard, host.node), time.monotonic()
        LOG.warning(
            "a copy of a shard is started anew: %s",
            why,
            extra={"facts": {"shard": host.shard, "from": lost, "to": host.node}},
        )


def last_line(error: BaseException) -> str:
    """Return the line of a remote traceback that says what was raised."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
