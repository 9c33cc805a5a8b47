"""Runs small Python programs in fresh interpreters and reports what they cost and load."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import Any


def run_program(program: str) -> Any:
    """Run a program in a fresh interpreter and return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def loaded_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after a statement."""
    return set(run_program(f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"))


def cpu_seconds(program: str) -> float:
    """Return the processor time, user and system, of a fresh interpreter that runs a program.

    Time spent waiting for other processes does not count, so a busy machine disturbs it little.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Threads that wait for work in a spin would be counted as work.
    calm = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env=calm)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
