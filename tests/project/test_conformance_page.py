"""The page on AWS's own code says what `make test-aws` tests."""

from __future__ import annotations

import os

from aws.differences import DIFFERENCES, HOSTS, REASONS
from aws.page import PAGE, render
from aws.requests import BY_NAME, CALLS

UPDATE = os.environ.get("KNEIGHBORS_UPDATE_REFERENCE") == "1"


def test_the_page_is_made_from_the_tables() -> None:
    if UPDATE:
        PAGE.write_text(render(), encoding="utf-8")
    assert render() == PAGE.read_text(encoding="utf-8")


def test_the_differences_are_of_requests_and_hosts_that_there_are() -> None:
    assert len(CALLS) == len(BY_NAME)
    assert list(HOSTS) == list(DIFFERENCES)
    used = {one.reason for found in DIFFERENCES.values() for one in found.values()}
    assert set(REASONS) == used
    assert {name for found in DIFFERENCES.values() for name in found} <= set(BY_NAME)
