"""Log streams: on the disk at once, read by CloudWatch's clients, the same after a restart."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kneighbors.local import logs as module
from kneighbors.local.logs import Logs
from support.local_plane import PlaneProcess

GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "logs")


def write(logs: Logs, stream: str, *lines: tuple[int, str | bytes]) -> None:
    with logs.writer(GROUP, stream) as writer:
        for at_ms, text in lines:
            writer.write_line(text, at_ms)


def test_lines_of_several_streams_come_in_the_order_of_time(logs: Logs) -> None:
    write(logs, "wines/algo-1", (1, "a"), (4, "d"))
    write(logs, "wines/algo-2", (2, "b"), (3, "c"))
    write(logs, "wines-2/algo-1", (0, "another job"))
    assert ["a", "b", "c", "d"] == [text for _, _, text in logs.lines(GROUP, "wines/")]
    assert ["c", "d"] == logs.tail(GROUP, 2, "wines/")
    assert ["wines/algo-1", "wines/algo-2"] == logs.streams(GROUP, "wines/")


def test_bytes_that_are_no_text_are_replaced(logs: Logs) -> None:
    write(logs, "a", (1, b"caf\xe9 \xff"), (2, "ü\ud800"))
    assert ["caf\ufffd \ufffd", "ü?"] == logs.tail(GROUP, 9)


def test_text_of_several_lines_becomes_as_many(logs: Logs) -> None:
    write(logs, "a", (1, "one\ntwo\r\n"), (1, ""))
    assert ["one", "two", ""] == logs.tail(GROUP, 9)


def test_a_long_line_is_cut(logs: Logs) -> None:
    write(logs, "a", (1, "x" * (300 << 10)))
    assert ["x" * (256 << 10)] == logs.tail(GROUP, 9)


def test_a_log_that_grows_without_end_is_ended(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAM_BYTES", 1000)
    write(logs, "a", *((n, "x" * 50) for n in range(1000)))
    assert "the log ends here" in logs.tail(GROUP, 1)[0]
    assert logs.path(GROUP, "a").stat().st_size < 1100


def test_lines_of_several_threads_are_whole(logs: Logs) -> None:
    writer = logs.writer(GROUP, "a")

    def write_often(letter: str) -> None:
        for _ in range(50):
            writer.write_line(letter * 5000)

    threads = [threading.Thread(target=write_often, args=(c,)) for c in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert {c * 5000 for c in "abcd"} == {text for _, _, text in logs.lines(GROUP)}
    assert 200 == len(logs.tail(GROUP, 1000))


def test_a_line_that_was_cut_short_by_a_crash_is_left_out(logs: Logs) -> None:
    write(logs, "a", (1, "whole"))
    with logs.path(GROUP, "a").open("ab") as file:
        file.write(b"2 ha")
    assert ["whole"] == logs.tail(GROUP, 9)


def test_a_name_that_leads_elsewhere_is_refused(logs: Logs) -> None:
    for name in ("", "a\0b", "a b", "a+b", "x" * 300):
        with pytest.raises(ValueError, match="Expected the name"):
            logs.writer(GROUP, name)
    logs.writer(GROUP, "../../out").close()
    assert [".." in str(logs.path(GROUP, "../../out").name)] == [True]
    assert logs.path(GROUP, "../../out").parent == logs.path(GROUP, "a").parent


def test_a_closed_stream_drops_what_comes(logs: Logs) -> None:
    writer = logs.writer(GROUP, "a")
    writer.close()
    writer.close()
    writer.write_line("late")
    assert [] == logs.tail(GROUP, 9)


@pytest.fixture(scope="module")
def found(plane: PlaneProcess) -> PlaneProcess:
    """A plane that shows the streams that it has found."""
    logs = Logs(plane.root / "logs")
    write(logs, "wines/algo-1-5", *((1_700_000_000_000 + n, f"line {n}") for n in range(25)))
    plane.restart()
    return plane


def test_clients_of_cloudwatch_read_what_is_on_the_disk(found: PlaneProcess) -> None:
    client = found.client("logs")
    [stream] = client.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="wines/")[
        "logStreams"
    ]
    assert "wines/algo-1-5" == stream["logStreamName"]
    assert 1_700_000_000_024 == stream["lastEventTimestamp"]
    place = {"logGroupName": GROUP, "logStreamName": "wines/algo-1-5", "startFromHead": True}
    page = client.get_log_events(**place, limit=20)
    assert [f"line {n}" for n in range(20)] == [one["message"] for one in page["events"]]
    with Logs(found.root / "logs").writer(GROUP, "wines/algo-1-5") as writer:
        writer.write_line("one more")
    page = client.get_log_events(**place, nextToken=page["nextForwardToken"])
    assert [*(f"line {n}" for n in range(20, 25)), "one more"] == [
        one["message"] for one in page["events"]
    ]
    events = client.filter_log_events(
        logGroupName=GROUP, logStreamNamePrefix="wines/", filterPattern="more"
    )
    assert ["one more"] == [one["message"] for one in events["events"]]


def test_logs_are_read_whatever_region_the_client_is_in(found: PlaneProcess) -> None:
    client = found.client("logs", region_name="eu-west-1")
    streams = client.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="wines/")
    client.close()
    assert 1 == len(streams["logStreams"])
