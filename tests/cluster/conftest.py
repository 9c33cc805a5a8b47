"""A cluster of this machine: some nodes on the loopback, each with its own processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: What is tested without nodes.
ALONE = ("test_balance.py", "test_moving.py")
ASKED_FOR = os.environ.get("KNEIGHBORS_TEST_RAY") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not ASKED_FOR:
        for item in items:
            if "tests/cluster/" in item.path.as_posix() and item.path.name not in ALONE:
                item.add_marker(pytest.mark.skip(reason="needs Ray's nodes: make test-ray"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Give a cluster of two nodes, to which this process belongs."""
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Tasks of the tests are found by the processes of the nodes, too.
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1")
    ray.init(
        address=cluster.address,
        namespace="kneighbors",
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    yield cluster
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]
