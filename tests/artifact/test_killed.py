"""A writer that is killed at any of its calls leaves the old artifact, the new one, or none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import artifact_killing


@pytest.mark.parametrize(
    ("way", "action"),
    [
        ("beside", "new"),
        ("beside", "empty"),
        ("beside", "over"),
        ("two steps", "over"),
        ("in place", "empty"),
        ("in place", "over"),
        ("beside", "pack"),
        ("beside", "unpack"),
    ],
)
def test_a_killed_writer_leaves_the_old_or_none(tmp_path: Path, way: str, action: str) -> None:
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, artifact_killing.__file__, tmp_path / "folder", way, action],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
