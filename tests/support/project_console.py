"""Runs the ``console`` blocks of a page in a shell, on a terminal, and compares what they print.

A line that begins with ``$ `` is a command, ``> `` carries it on; what follows is its output, in
which ``...`` stands for anything. A command that ends with `` &`` is left running until the page is
done; its output is what it says until its first line is complete.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

USUAL_PORT = "8080"


@dataclass(frozen=True)
class Command:
    """A command of a page, and what it prints."""

    line: str
    output: str


def commands(block: str) -> Iterator[Command]:
    """Split a block into its commands."""
    for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, output = piece.partition("\n")
        while output.startswith("> "):
            more, _, output = output[2:].partition("\n")
            line += f"\n{more}"
        yield Command(line, output)


def matches(wanted: str, printed: str) -> bool:
    """Tell whether an output is the one wanted; blanks at the ends of lines do not count."""
    pieces = [re.escape(piece) for piece in _trimmed(wanted).split("...")]
    return re.fullmatch(".*?".join(pieces), _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


class Shell:
    """A folder to run commands in. The usual port is another one there: pages do not meet."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._port = str(_free_port())
        self._environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
            "LINES": "50",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "SAGEMAKER_BIND_TO_PORT": self._port,
        }
        self._running: list[tuple[subprocess.Popen[bytes], int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process, screen in self._running:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
            os.close(screen)

    def ported(self, text: str) -> str:
        """Write the folder's own port in place of the usual one."""
        return text.replace(USUAL_PORT, self._port)

    def run(self, command: Command) -> str:
        """Run a command and return what it printed, with the usual port written in."""
        line = self.ported(command.line)
        stays = line.endswith(" &")
        process, screen = self._start(line.removesuffix(" &"))
        if stays:
            self._running.append((process, screen))
            printed = _read(screen, until=b"\n")
        else:
            printed = _read(screen)
            code = process.wait(60)
            os.close(screen)
            assert code == 0, f"{command.line}: exit code {code}\n{printed}"
        return printed.replace(self._port, USUAL_PORT)

    def _start(self, line: str) -> tuple[subprocess.Popen[bytes], int]:
        screen, terminal = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-euc", line],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        return process, screen


def _read(screen: int, until: bytes | None = None, patience_s: float = 60.0) -> str:
    """Read a terminal to its end, or until some bytes have come."""
    data = b""
    deadline = time.monotonic() + patience_s
    while not (until and until in data):
        ready, _, _ = select.select([screen], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"no more than this came: {data.decode(errors='replace')}")
        try:
            more = os.read(screen, 65_536)
        except OSError:  # how Linux says that nobody writes any more
            break
        if not more:
            break
        data += more
    return data.decode(errors="replace").replace("\r\n", "\n")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
