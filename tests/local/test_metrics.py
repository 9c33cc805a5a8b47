"""Metrics in a job's output, whatever patterns it was given."""

from __future__ import annotations

import threading
import time

import pytest

from kneighbors.local.faults import Fault
from kneighbors.local.metrics import Metrics, check_metrics


def test_the_last_number_counts_and_what_is_none_is_passed_over() -> None:
    metrics = Metrics([{"Name": "recall", "Regex": r"recall=(\S+)"}])
    for at, line in enumerate(["recall=0.5", "recall=1e-1", "recall=none", "nothing"]):
        assert [] == metrics.see(line, float(at))
    assert [{"MetricName": "recall", "Value": 0.1, "Timestamp": 1.0}] == metrics.final


@pytest.mark.parametrize("pattern", ["recall=(", "recall=[0-9]+", "(?P<1>x)"])
def test_what_is_no_pattern_with_a_group_is_refused(pattern: str) -> None:
    with pytest.raises(Fault, match="Regex of metric recall"):
        check_metrics([{"Name": "recall", "Regex": pattern}])


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$"])
def test_a_pattern_without_an_end_is_dropped_and_stops_nobody(pattern: str) -> None:
    metrics = Metrics(
        [{"Name": "endless", "Regex": pattern}, {"Name": "recall", "Regex": "recall=([0-9.]+)"}]
    )
    line = "a" * 4000 + "! recall=0.5"
    said: list[str] = []
    looking = threading.Thread(target=lambda: said.extend(metrics.see(line)))
    looking.start()
    longest, before = 0.0, time.monotonic()
    while looking.is_alive():
        time.sleep(0.001)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    # The interpreter is free meanwhile; `re` would hold it to the end.
    assert longest < 0.9
    assert ["The Regex of metric endless takes more than 1 s"] == [
        one.partition(" for ")[0] for one in said
    ]
    assert [] == metrics.see(line)
    assert [0.5] == [one["Value"] for one in metrics.final]
