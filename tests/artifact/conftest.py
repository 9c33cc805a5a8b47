"""What all tests of artifacts share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for the disk, thousands of times: only a loss of power could tell.

    `test_everything_is_on_disk_before_it_has_its_name` watches that the waiting is there.
    """
    monkeypatch.setattr(os, "fsync", lambda number: None)
