"""Lines of the log: one an event, short, and nothing in them that a client could forge."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from kneighbors.server.logs import LineFormatter


def line(as_json: bool, message: str = "request", **facts: Any) -> str:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, message, None, None)
    record.facts = facts
    return LineFormatter(as_json=as_json).format(record)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("text", ["a\r\nb=c", "\x1b[2J", "\u2028", "é", "\0", 'a"b', "a b", ""])
def test_a_value_cannot_leave_its_place(text: str, as_json: bool) -> None:
    written = line(as_json, path=text, status=200)
    assert written.isascii()
    assert written.isprintable()
    if as_json:
        assert text == json.loads(written)["path"]
    else:
        assert written.endswith(f" path={json.dumps(text)} status=200")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_line_has_a_bounded_length(as_json: bool) -> None:
    assert len(line(as_json, path="\0" * 100_000)) < 1500
    assert len(line(as_json, "m" * 100_000)) < 9000


def test_plain_words_and_numbers_need_no_quotes() -> None:
    written = line(False, method="GET", ms=1.25)
    assert written.endswith(" method=GET ms=1.25")
    assert " info request pid=" in written


@pytest.mark.parametrize("as_json", [False, True])
def test_a_traceback_is_one_line(as_json: bool) -> None:
    try:
        raise ValueError("deep\ntrouble")
    except ValueError as error:
        facts = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "fault", None, facts)
    written = LineFormatter(as_json=as_json).format(record)
    assert "\n" not in written
    assert "Traceback" in written


def test_a_message_with_line_ends_is_one_line() -> None:
    assert "\n" not in line(False, "first\nsecond=third")
