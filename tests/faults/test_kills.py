"""Publishers are killed at random instants: what was acknowledged is there, no answer is mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.faults_kills import kill_loop, write_down

pytestmark = pytest.mark.faults


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_acknowledged_is_lost_and_no_answer_is_mixed(tmp_path: Path, seed: int) -> None:
    counts = kill_loop(tmp_path, kills=160, seed=seed)
    write_down({"test": "publish", "seed": seed, **counts.facts()})
    assert counts.wrong == []
    assert counts.killed == 160
    assert counts.acknowledged > 0
    assert counts.answers > 0
    assert max(counts.recovery_s) < 2.0
