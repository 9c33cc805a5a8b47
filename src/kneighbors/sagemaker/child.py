"""A child of a job: its output is ours, signals are handed on, and its last words are kept."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import IO

from kneighbors.sagemaker.outcome import FAILURE_CHARACTERS, JobFailed

_READ_BYTES = 1 << 16
#: Of the child's last words on stderr, what may be needed for the failure.
_TAIL_BYTES = 1 << 15
#: How long a descendant of the child may keep its stderr open after the child has ended.
_LINGER_S = 2.0
_COMMAND_CHARACTERS = 200


class Ended(Enum):
    """How a child ended that did not fail."""

    WELL = "with the exit code 0"
    STOPPED = "with another, after a signal that was handed on"


def run_child(command: Sequence[str], folder: Path, environ: Mapping[str, str], what: str) -> Ended:
    """Run a command whose output is ours.

    Parameters
    ----------
    command : sequence of str
    folder : Path
        Where it runs.
    environ : mapping of str to str
    what : str
        Name of its failure.

    Raises
    ------
    JobFailed
        With the end of what it wrote to stderr, the last traceback above all.
    """
    with (
        _handed_on() as signals,
        subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=_stdout(),
            stderr=subprocess.PIPE,
        ) as process,
    ):
        tail = _Tail(process.stderr)
        signals.hand_on_to(process)
        code = process.wait()
        text = tail.finish()
    if code == 0:
        return Ended.WELL
    if signals.seen:
        return Ended.STOPPED
    raise JobFailed(_failure(what, code, text, command))


def _stdout() -> int | None:
    """Return where a child writes to: our stdout, whatever stands in for it in Python."""
    sys.stdout.flush()
    try:
        return sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return None


class _Signals:
    """Signals that came, for a child that may not be there yet."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    def take(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal, and hand it on."""
        self.seen.append(number)
        if self._process is not None:
            self._process.send_signal(number)

    def hand_on_to(self, process: subprocess.Popen[bytes]) -> None:
        """Hand on what came already, and what will come."""
        self._process = process
        for number in self.seen:
            process.send_signal(number)


@contextmanager
def _handed_on() -> Iterator[_Signals]:
    """Hand SIGTERM and SIGINT on to a child."""
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        # Handlers are the main thread's; whoever runs us elsewhere ends the child itself.
        yield signals
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, signals.take) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Tail:
    """Pass a child's stderr on as it comes, and keep its end."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            raise AssertionError("stderr is a pipe")
        self._stream = stream
        self._kept: deque[bytes] = deque()
        self._length = 0
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def finish(self) -> str:
        """Return the end of what was written, once the child has ended."""
        self._thread.join(_LINGER_S)
        return b"".join(self._kept)[-_TAIL_BYTES:].decode("utf-8", "replace")

    def _pass_on(self) -> None:
        while chunk := os.read(self._stream.fileno(), _READ_BYTES):
            sys.stderr.write(chunk.decode("utf-8", "replace"))
            sys.stderr.flush()
            self._kept.append(chunk)
            self._length += len(chunk)
            while self._length - len(self._kept[0]) > _TAIL_BYTES:
                self._length -= len(self._kept.popleft())


def _failure(what: str, code: int, tail: str, command: Sequence[str]) -> str:
    """Return what is said of a command that failed, the end of its traceback above all."""
    killed = f'ExtraInfo "killed by {signal.Signals(-code).name}"\n' if code < 0 else ""
    if code == -signal.SIGKILL:
        killed = 'ExtraInfo "killed by SIGKILL: out of memory, perhaps"\n'
    head = f"{what}:\nExitCode {code if code >= 0 else 128 - code}\n"
    shown = shlex.join(command)
    if len(shown) > _COMMAND_CHARACTERS:
        shown = shown[: _COMMAND_CHARACTERS - 3] + "..."
    foot = f'{killed}Command "{shown}"'
    room = FAILURE_CHARACTERS - len(head) - len(foot) - len('ErrorMessage ""\n')
    return f'{head}ErrorMessage "{_last_words(tail, room)}"\n{foot}'


def _last_words(tail: str, room: int) -> str:
    """Return the last traceback, or else the last lines, in at most so many characters."""
    text = tail.strip()
    start = text.rfind("Traceback (most recent call last):")
    text = text[max(start, 0) :]
    if len(text) <= room:
        return text
    cut = text[-(room - 4) :]
    # Whole lines, unless the last one alone is too long.
    return "...\n" + (cut.partition("\n")[2] or cut)
