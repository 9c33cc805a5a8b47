"""The page on reliability is the one that its script makes of the results that are kept."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "reliability.py"
    spec = importlib.util.spec_from_file_location("reliability", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_of_the_results(script: ModuleType) -> None:
    results = json.loads(script.RESULTS.read_text())
    assert script.page(results) == script.PAGE.read_text(encoding="utf-8")


def test_nothing_that_was_counted_went_wrong(script: ModuleType) -> None:
    counts = json.loads(script.RESULTS.read_text())["counts"]
    for one in counts:
        faults = [one[name] for name in ("wrong", "status_5xx", "tracebacks", "hangs")]
        assert [0, 0, 0, 0] == faults, one


def test_counts_of_several_processes_are_summed_up(script: ModuleType, tmp_path: Path) -> None:
    zero = {"wrong": 0, "status_5xx": 0, "tracebacks": 0, "hangs": 0}
    one = {"kind": "a", "door": "b", "tried": 3, **zero, "most_memory_multiple": None}
    (tmp_path / "1.jsonl").write_text(json.dumps(one) + "\n" + json.dumps(one) + "\n")
    more = {**one, "tried": 4, "wrong": 1, "most_memory_multiple": 2.5}
    (tmp_path / "2.jsonl").write_text(json.dumps(more) + "\n")
    expected = {**one, "tried": 10, "wrong": 1, "most_memory_multiple": 2.5}
    (tmp_path / "calls.jsonl").write_text(
        json.dumps({"operation": "publish", "fault": "EIO", "calls": 5})
        + "\n"
        + json.dumps({"operation": "<function>", "fault": "slow", "requests": 2})
        + "\n"
    )
    times = {"median": 3.0, "most": 20.5}
    kills = {"test": "publish", "killed": 4, "acknowledged": 3, "answers": 9, "reloads": 2}
    (tmp_path / "kills.jsonl").write_text(
        json.dumps({**kills, "wrong": ["mixed"], "recovery_ms": times}) + "\n"
    )
    lines = script.lines_of(tmp_path)
    assert [expected] == script.collected(lines)
    calls = script.failed_calls(lines)
    assert {"publish": {"EIO": 5}, "everything on S3, by request": {"slow": 2}} == calls
    del kills["test"]
    assert {**kills, "wrong": 1, "slowest_ms": 20.5} == script.killed(lines)
