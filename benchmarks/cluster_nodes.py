"""Some nodes of Ray on this machine's loopback, each with its own processes, and how they end.

    python benchmarks/cluster_nodes.py NODES CPUS COMMAND ...

runs a command beside nodes that are started before and ended after it; ADDRESS in it is theirs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine import Array

#: Bytes of each node's store of objects; what shards are asked is small.
_STORE = 200 << 20
_HOST = b"ray::ShardHost"


class Nodes:
    """Nodes that are up.

    Attributes
    ----------
    address : str
        What `--cluster` takes.
    """

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self._nodes = [cluster.head_node]
        self.address = str(cluster.address)

    def add(self, cpus: int = 1) -> None:
        """Add a node."""
        self._nodes.append(self._cluster.add_node(**_arguments(cpus)))

    def hosts(self, node: int | None = None) -> list[int]:
        """Return the processes that have opened a shard and wait, of one node or of all."""
        found = []
        for one in self._nodes if node is None else [self._nodes[node]]:
            for pid in processes_of(_raylet(one)):
                with suppress(OSError):
                    # With the name of a method after it, it opens its shard or is busy.
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ")
                    if words.startswith(_HOST) and b"__init__" not in words:
                        found.append(pid)
        return sorted(found)

    def lose(self, node: int) -> None:
        """Kill all processes of a node at once, as a machine without power loses them."""
        lost = self._nodes.pop(node)
        for pid in [*processes_of(_raylet(lost))]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._cluster.remove_node(lost, allow_graceful=False)


@contextmanager
def nodes(count: int, cpus: int = 1) -> Iterator[Nodes]:
    """Start nodes, and end them."""
    # Else Ray takes the first network's address, and lets no second node in on the loopback.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    from ray.cluster_utils import Cluster

    head = {**_arguments(cpus), "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        found = Nodes(cluster)
        for _ in range(count - 1):
            found.add(cpus)
        yield found
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """Let this process belong to a cluster; give the module `ray`."""
    import ray

    ray.init(
        address=address,
        namespace="kneighbors",
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    try:
        yield ray
    finally:
        ray.shutdown()


def save_shards(X: Array, path: Path, count: int) -> Path:
    """Save a corpus in shards of one size, by the cosine; return where."""
    from kneighbors.items import Catalog
    from kneighbors.search.rows import ArrayRows
    from kneighbors.shards import ShardPlan, publish_shards, write_shard
    from kneighbors.shards.rows import SomeRows

    plan = ShardPlan.even("cosine", (len(X), X.shape[1]), X.dtype.name, n_shards=count)
    for number in range(plan.n_shards):
        first, stop = plan.rows_of(number)
        rows = SomeRows(ArrayRows(X), first, stop)
        write_shard(plan, number, rows, Catalog.from_data(stop - first, None, None), path)
    publish_shards(plan, path)
    return path


def processes_of(pid: int) -> list[int]:
    """Return a process and all that descend from it and are still there."""
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (task / "children").read_text().split():
                    found += processes_of(int(child))
    return found


def wait_for(count: int, at: Nodes, seconds: float = 120.0) -> None:
    """Wait until so many copies of shards are open."""
    until = time.monotonic() + seconds
    while len(at.hosts()) < count:
        if time.monotonic() > until:
            raise RuntimeError(f"Expected {count} copies of shards, got {len(at.hosts())}.")
        time.sleep(0.1)


def ray_version() -> str:
    """Return the version of Ray."""
    return metadata.version("ray")


def _arguments(cpus: int) -> dict[str, Any]:
    return {
        "num_cpus": cpus,
        "node_ip_address": "127.0.0.1",
        "object_store_memory": _STORE,
    }


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def main(count: str, cpus: str, *command: str) -> int:
    """Run a command beside nodes; return its exit code."""
    with nodes(int(count), int(cpus)) as at:
        return subprocess.call([at.address if word == "ADDRESS" else word for word in command])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
