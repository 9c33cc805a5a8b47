"""A join that is killed at random instants loses no row and doubles none."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.join_killing import kill_at_random

pytestmark = pytest.mark.faults


def test_a_join_that_is_killed_again_and_again_gives_the_same_bytes(tmp_path: Path) -> None:
    killed, _ = kill_at_random(tmp_path, 8)
    assert 8 == killed
