"""Each call of the system fails in its turn: the old state or the new one, and a clear word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.faults_loop import (
    BROKEN,
    EINTR,
    FORBIDDEN,
    FULL,
    KILLED,
    SHORT,
    SLOW,
    Fault,
    every_call,
    every_call_at_once,
    write_down,
)
from support.faults_operations import OPERATIONS, USUAL, WRITING
from support.faults_seccomp import why_not

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


def cases() -> Iterator[Any]:
    """Yield every operation with every fault that it can meet."""
    for name in OPERATIONS:
        for fault in (BROKEN, FORBIDDEN, FULL, KILLED):
            if name not in (*WRITING, "package", "publish an archive") and fault is not BROKEN:
                continue
            if name == "package" and fault is BROKEN:
                continue  # its code is hundreds of files that are only read
            is_usual = name in USUAL or fault is FULL
            marks = () if is_usual else pytest.mark.slow
            yield pytest.param(name, fault, marks=marks, id=f"{name}-{fault.name}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "fault"), list(cases()))
def test_each_call_fails_in_its_turn(
    tmp_path: Path, pristine: Path, name: str, fault: Fault
) -> None:
    count = every_call(OPERATIONS[name], fault, pristine, tmp_path)
    write_down({"operation": name, "fault": fault.name, "calls": count})
    assert count > 5


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("fault", [SHORT, SLOW, EINTR], ids=lambda fault: fault.name)
def test_what_is_done_by_half_or_late_is_done_in_the_end(
    tmp_path: Path, pristine: Path, name: str, fault: Fault
) -> None:
    ended = every_call_at_once(OPERATIONS[name], fault, pristine, tmp_path)
    assert ended.exit_code == 0, ended
    assert len(ended.hits) > 5
