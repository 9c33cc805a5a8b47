"""Cores that there are, and threads that a matrix product takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kneighbors.server import cores
from support.project_process import run_program


def test_there_is_a_core_and_no_more_than_the_machine_has() -> None:
    assert 1 <= cores.available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("max 100000\n", 1 << 16), ("150000 100000\n", 2), ("50000 100000\n", 1), ("junk", 1 << 16)],
)
def test_a_containers_quota_is_read(tmp_path: Path, text: str, expected: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert expected == cores._quota(file)
    assert 1 << 16 == cores._quota(tmp_path / "missing")


def test_a_child_inherits_the_number_of_threads_that_its_parent_set() -> None:
    program = """
import json, os
import numpy as np
from kneighbors.server.cores import set_blas_threads
before = len(os.listdir("/proc/self/task"))
said = set_blas_threads(1)
reading, writing = os.pipe()
if os.fork() == 0:
    x = np.ones((600, 600))
    x @ x
    os.write(writing, str(len(os.listdir("/proc/self/task"))).encode())
    os._exit(0)
print(json.dumps([said, int(os.read(reading, 10))]))
os.wait()
"""
    said, threads = run_program(program)
    if said is None:
        pytest.skip("this numpy's BLAS cannot be told")
    assert [1, 1] == [said, threads]
