"""The benchmarks of clusters run; what they measure at this size is of no interest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.timeout(600)


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *arguments, "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_actor_and_a_node_are_killed_under_load() -> None:
    small = ("--rows", "2000", "--shards", "2", "--nodes", "2", "--copies", "2")
    said = run("cluster_kills.py", *small, "--seconds", "12", "--rate", "10")
    assert "120 requests" in said
    assert said.count("killed at ") == 2


def test_overhead_scaling_and_fan_out_are_measured() -> None:
    said = run("cluster_overhead.py", "--rows", "3000", "--rounds", "1")
    assert all(way in said for way in ("whole-0", "local-8", "ray-8"))
    assert "times as fast" in said
    assert "more by way of Ray" in said


def test_a_join_and_a_training_run_beside_nodes_that_are_started_for_them() -> None:
    small = ("--rows", "2000", "--queries", "50")
    assert "kneighbors_ray " in run("join_peers.py", *small, "--engines", "kneighbors_ray")
    said = run("join_memory.py", *small, "--runs", "train-ray", "--limit-mib", "2048")
    assert "train-ray         0" in said
