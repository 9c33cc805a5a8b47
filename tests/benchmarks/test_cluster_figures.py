"""What is said of kills, joins and memory is what the requests, the rows and the system say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cluster_kills
import cluster_overhead
import join_memory
import join_peers
import memory_watch
import numpy as np
import pytest
import results
import scale_figures


def test_a_server_has_recovered_when_all_that_is_due_from_then_on_is_answered() -> None:
    answers = [(at / 10, 0.02, 200) for at in range(100)]
    # From 2.0 s on nothing is answered, from 3.1 s on slowly, and in time from 3.6 s on.
    answers[20:31] = [(due, 0.01, 503) for due, _, _ in answers[20:31]]
    answers[31:36] = [(due, 1.5, 200) for due, _, _ in answers[31:36]]
    found = cluster_kills.figures_of(answers, {"actor": 2.0, "node": 7.0}, 10.0, {"node": 1.5})
    assert {"503": 11} == found["all"]["failed"]
    assert (20, {}) == (found["quiet"]["requests"], found["quiet"]["failed"])
    actor, node = found["actor"], found["node"]
    assert (1.1, 1.6, 11) == (
        actor["recovered_s"],
        actor["in_time_s"],
        actor["failed_in_all"],
    )
    assert (actor["copies_back_s"], node["copies_back_s"]) == (None, 1.5)
    assert (0.0, 0, {}) == (node["recovered_s"], node["failed_in_all"], node["failed"])


def test_a_request_that_waited_when_the_kill_came_counts_for_the_kill() -> None:
    answers = [(1.0, 0.1, 200), (1.9, 0.5, 503), (3.0, 0.1, 200)]
    found = cluster_kills.figures_of(answers, {"actor": 2.0}, 5.0, {})
    assert {"503": 1} == found["actor"]["failed"]
    assert {} == found["quiet"]["failed"]


def test_what_fails_to_the_end_has_not_recovered() -> None:
    found = cluster_kills.figures_of([(1.0, 0.1, 200), (3.0, 0.1, 503)], {"actor": 2.0}, 5.0, {})
    assert found["actor"]["recovered_s"] is None
    assert "not in time" in scale_figures._phase(found["actor"])


def test_the_cost_of_a_shard_is_the_slope_of_a_line() -> None:
    found = cluster_overhead._line({count: 2.0 + 0.5 * count for count in (1, 2, 4, 8)})
    assert (2.0, 0.5, 0.0) == pytest.approx(
        (found["start_ms"], found["a_shard_ms"], found["off_ms"])
    )


def test_rows_that_are_equally_near_are_as_good_and_others_are_not() -> None:
    X = np.array([[1, 0], [1, 0], [1, 0.1], [0, 1]], np.float32)
    Q = np.repeat(X[:1], 3, axis=0)
    ours = np.array([[0, 1], [0, 1], [0, 1]])
    found = join_peers.compared(X, Q, ours, np.array([[0, 1], [1, 0], [0, 2]]))
    assert {"same": 0.33333, "same_up_to_ties": 0.66667} == found


def test_a_join_is_measured_and_its_rows_are_looked_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_setaffinity", lambda pid, cores: None)
    small = ("--rows", "600", "--queries", "50", "--engines", "kneighbors", "--dry-run")
    join_peers.main([*small])
    name, *figures = capsys.readouterr().out.splitlines()[1].split()
    assert ("kneighbors", ["1.00000"] * 3) == (name, figures[-3:])


def test_a_fit_and_a_join_are_run_under_a_limit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small = ("--rows", "3000", "--queries", "50", "--shards", "2", "--limit-mib", "700")
    more = ("--runs", "train-data,join-data", "--folder", str(tmp_path), "--dry-run")
    join_memory.main([*small, *more])
    said = capsys.readouterr().out
    assert "answers of all joins the same: True" in said
    ends = {line.split()[0]: line.split()[1] for line in said.splitlines()[2:]}
    assert {"train-data": "0", "join-data": "0"} == ends
    assert list(tmp_path.iterdir()) == []


def test_what_a_command_and_its_children_held_is_seen(tmp_path: Path) -> None:
    inner = "import time; held = bytearray(40 << 20); time.sleep(0.5)"
    outer = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    ran = memory_watch.run([sys.executable, "-c", outer, inner], tmp_path)
    assert ran.code == 0
    assert ran.memory["anon_mib"] > ran.memory["largest_anon_mib"] > 40


def test_the_part_of_the_page_is_that_of_the_results() -> None:
    assert scale_figures.page() == scale_figures.PAGE.read_text("utf-8"), (
        "run benchmarks/scale_figures.py"
    )


def test_what_was_measured_last_is_in_the_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results.read, "__defaults__", (tmp_path,))
    assert scale_figures.part().count("Not measured yet.") == 4
    results.append("cluster", {**_kills(2), "rows": 1000}, tmp_path)
    assert scale_figures.part().count("Not measured yet.") == 4, "a trial does not count"
    for copies in (2, 1):
        results.append("cluster", _kills(copies), tmp_path)
    results.append("cluster", _overhead(), tmp_path)
    results.append("join", _join(), tmp_path)
    results.append("memory", _memory(), tmp_path)
    part = scale_figures.part()
    assert "Not measured yet." not in part
    assert "With 2 copies no request failed" in part
    assert "With 1 copy 11 of 100 requests failed, all with 503" in part
    assert "| by way of Ray | 3.0 | 4.0 | 1.00 |" in part
    assert "FAISS flat, one process (2.00 times as fast)" in part
    assert "PySpark, `mapInPandas` with FAISS flat was left out: no Java" in part
    assert "2.0 times the 512 MiB" in part


def _kills(copies: int) -> dict[str, Any]:
    answers = [(at / 10, 0.02, 503 if copies == 1 and 20 <= at < 31 else 200) for at in range(100)]
    found = cluster_kills.figures_of(answers, {"actor": 2.0, "node": 7.0}, 10.0, {})
    facts = {"rows": 100_000, "shards": 8, "nodes": 3, "rate": 10.0, "seconds": 10.0, "ray": "2"}
    return {"what": "kills", "copies": copies, **facts, **found}


def _overhead() -> dict[str, Any]:
    sizes = {"1": 2.0, "32": 3.0}
    line = cluster_overhead._line({1: 3.0, 2: 4.0})
    return {
        "what": "overhead",
        "shape": [100_000, 300],
        "overhead": {"whole-0": sizes, "local-8": sizes, "ray-8": {"1": 9.0, "32": 9.0}},
        "scaling": {"32": {"one_ms": 3.0, "two_ms": 2.0, "times": 1.5}},
        "fan_out": {"local": line, "ray": line, "front": line},
        "ray_ms": 7.0,
    }


def _join() -> dict[str, Any]:
    memory = {"rss_mib": 10.0, "pss_mib": 9.0}
    engines = {
        name: {"wall_s": 1.0, "join_s": 1.0, "rows_per_s": rate, "join_rows_per_s": rate}
        | {"recall": 1.0, "same_up_to_ties": 1.0, **memory}
        for name, rate in (("kneighbors", 10.0), ("faiss", 20.0))
    }
    facts = {"queries": 10, "shape": [100_000, 300], "k": 10, "train_s": {"kneighbors": 1.0}}
    return {"what": "peers", **facts, "engines": engines, "left_out": {"spark": "no Java"}}


def _memory() -> dict[str, Any]:
    one = {"exit_code": 0, "seconds": 1.0, "largest_anon_mib": 90.0, "rss_mib": 100.0}
    facts = {"rows": 100_000, "shards": 8, "queries": 10, "limit_mib": 512, "corpus_mib": 1024.0}
    return {
        "what": "memory",
        **facts,
        "runs": {"train-data": one, "train-cgroup": None},
        "same_answers": True,
    }
