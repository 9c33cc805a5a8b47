"""A program in the foreground of this one: its signals, and its exit code as ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType

from kneighbors.errors import ParameterRefused

_PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)


def run_program(program: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program to its end, hand signals on to it, and return its exit code.

    Returns
    -------
    int
        As a shell has it: 128 and the signal's number where a signal ended it.

    Raises
    ------
    ParameterRefused
        With code ``local-program`` if there is no such program.
    """
    before = {number: signal.getsignal(number) for number in _PASSED}
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        if child is None:
            early.append(number)
        elif not (number in (signal.SIGINT, signal.SIGQUIT) and _is_on_terminal()):
            # A terminal has told the program itself; told twice, Jupyter ends without asking.
            with suppress(ProcessLookupError):
                child.send_signal(number)

    for number in _PASSED:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, hand_on)
    try:
        child = _started(program, environment)
        for missed in early:
            hand_on(missed, None)
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _started(program: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    sys.stdout.flush()
    try:
        return subprocess.Popen(list(program), env=dict(environment))  # noqa: S603
    except OSError as error:
        raise ParameterRefused(
            "local-program",
            f"Expected a program that can be run, but: {error.strerror or error}.",
            where=program[0],
            hint="Give it after --, as in: kneighbors local run -- python notebook.py",
        ) from error


def _is_on_terminal() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
