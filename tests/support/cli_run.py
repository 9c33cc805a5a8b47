"""Running the command line: in this process, as a process, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kneighbors.cli.app import run

TIMEOUT_S = 60.0
COMMAND = [sys.executable, "-m", "kneighbors"]


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self.out
        return json.loads(lines[0])


class Runner:
    """Commands in this process; stdout and stderr are captured by pytest."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Outcome:
        self._capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    def written(self) -> str:
        """Return what was written to stdout since the last command."""
        return self._capsys.readouterr().out


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without anything that a training job would set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SM_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **more}


def run_process(
    *arguments: str | Path,
    stdin: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
    cwd: Path | None = None,
) -> Outcome:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [*command, *map(str, arguments)],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env=dict(environ or clean_environment()),
        timeout=TIMEOUT_S,
        check=False,
        cwd=cwd,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def start_process(
    *arguments: str | Path, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a command and do not wait."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ or clean_environment()),
    )


def run_on_terminal(
    *arguments: str | Path, environ: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a command whose stdin, stdout and stderr are a terminal of 140 columns."""
    values = {**clean_environment(), "COLUMNS": "140", "TERM": "xterm-256color", **(environ or {})}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=values
    )
    os.close(theirs)
    written = bytearray()
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                chunk = os.read(ours, 65_536)
            except OSError:  # the other side has closed: Linux says EIO
                break
            if not chunk:
                break
            written += chunk
        return process.wait(timeout=TIMEOUT_S), written.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
