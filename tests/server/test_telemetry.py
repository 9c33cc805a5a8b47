"""Numbers that all workers share, and the text that is made of them."""

from __future__ import annotations

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kneighbors.server.board import Board, State
from kneighbors.server.families import OUTCOMES
from kneighbors.server.statuses import STATUS_OF_CODE, STATUSES
from kneighbors.server.telemetry import FAMILIES, NUMBERS, ROUTES, STAGES, Telemetry


def board(workers: int) -> Board:
    made = Board(workers, NUMBERS)
    for _ in range(workers):
        made.take()
    return made


def samples(telemetry: Telemetry) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and the values of its labels."""
    text = telemetry.exposition({"version": 'a"b\\c\nd'})
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_two_workers_count_is_summed() -> None:
    shared = board(2)
    first, second = (Telemetry(slot) for slot in shared.slots)
    first.request("ping", 200, 0.003)
    second.request("ping", 200, 0.3)
    second.error("body-json")
    second.error("a-code-from-elsewhere")
    first.set("kneighbors_waiting", 3)
    second.set("kneighbors_waiting", 4)
    found = samples(first)
    assert found == samples(second)
    assert 2 == found["kneighbors_requests_total", "ping", "200"]
    assert 1 == found["kneighbors_errors_total", "body-json"]
    assert 1 == found["kneighbors_errors_total", "other"]
    assert 7 == found["kneighbors_waiting",]
    assert 1 == found["kneighbors_request_seconds_bucket", "0.005", "ping"]
    assert 2 == found["kneighbors_request_seconds_bucket", "+Inf", "ping"]
    assert 2 == found["kneighbors_request_seconds_count", "ping"]
    assert pytest.approx(0.303) == found["kneighbors_request_seconds_sum", "ping"]
    assert 1 == found["kneighbors_info", 'a"b\\c\nd']


@pytest.mark.parametrize("value", [0.0005, 0.00051, 60.0, 61.0, 0.0])
def test_a_value_on_a_bound_belongs_to_its_bucket(value: float) -> None:
    telemetry = Telemetry(board(1).slots[0])
    telemetry.observe("kneighbors_stage_seconds", value, ("search",))
    found = samples(telemetry)
    for bound in ("0.0005", "0.001", "60", "+Inf"):
        expected = 1 if value <= float(bound) else 0
        assert expected == found["kneighbors_stage_seconds_bucket", bound, "search"]


def test_every_family_and_label_can_be_counted() -> None:
    telemetry = Telemetry(board(1).slots[0])
    for route in ROUTES:
        for status in STATUSES:
            telemetry.request(route, status, 1.0)
    for code in STATUS_OF_CODE:
        telemetry.error(code)
    for stage in STAGES:
        telemetry.observe("kneighbors_stage_seconds", 1.0, (stage,))
    for outcome in OUTCOMES:
        telemetry.add("kneighbors_rechecks_total", 1.0, (outcome,))
    names = {name for name, *_ in samples(telemetry)}
    for family in (family for family in FAMILIES if family.is_shown):
        assert family.name in {name.removesuffix("_count") for name in names} | names


def test_a_child_process_counts_on_the_same_board() -> None:
    shared = board(2)
    child = os.fork()
    if child == 0:
        Telemetry(shared.slots[1]).add("kneighbors_body_bytes_total", 5)
        os._exit(0)
    os.waitpid(child, 0)
    assert 5 == samples(Telemetry(shared.slots[0]))["kneighbors_body_bytes_total",]


def test_a_new_worker_keeps_the_counters_and_clears_the_gauges() -> None:
    shared = board(1)
    telemetry = Telemetry(shared.slots[0])
    telemetry.add("kneighbors_body_bytes_total", 5)
    telemetry.add("kneighbors_in_flight")
    shared.slots[0].clear()
    again = samples(Telemetry(shared.take()))
    assert (5, 0) == (again["kneighbors_body_bytes_total",], again["kneighbors_in_flight",])
    assert 2 == again["kneighbors_worker_starts_total",]


def test_the_server_is_open_once_all_have_been_ready_and_stays_so() -> None:
    shared = board(2)
    first, second = shared.slots
    first.state = State.READY
    assert (False, False) == (first.is_open, shared.settled)
    second.state = State.FAILED
    assert (False, True) == (first.is_open, shared.settled)
    second.state = State.READY
    assert (True, True) == (first.is_open, second.is_open)
    second.clear()
    assert (True, False) == (first.is_open, second.is_open)


def test_there_are_no_more_rows_than_workers() -> None:
    shared = board(2)
    with pytest.raises(RuntimeError, match="taken"):
        shared.take()
    shared.slots[1].clear()
    assert shared.slots[1] is shared.take()
