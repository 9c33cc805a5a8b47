"""Where text goes: rich on a terminal, plain lines elsewhere, one JSON document for machines."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kneighbors.errors import missing_extra
from kneighbors.search.progress import Progress, ignore

if TYPE_CHECKING:
    from rich.console import Console


_FILE_WIDTH = 110


def stdout_console() -> Console:
    """Return the console for results; it knows of NO_COLOR and of terminals by itself."""
    return _console(stderr=False)


def stderr_console() -> Console:
    """Return the console for progress and remarks."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    try:
        from rich.console import Console
    except ModuleNotFoundError:
        raise missing_extra("rich", "cli") from None

    class PipedConsole(Console):
        def on_broken_pipe(self) -> None:
            # rich would exit here, with a code of its own.
            raise BrokenPipeError

    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    # rich takes 80 columns where it cannot know; a file or a log has no edge.
    width = None if is_terminal or "COLUMNS" in os.environ else _FILE_WIDTH
    return PipedConsole(stderr=stderr, highlight=False, width=width)


def write_json(document: Mapping[str, Any]) -> None:
    """Write the one document that ``--json`` asks for, and flush it."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def write_line(text: str = "") -> None:
    """Write a line to stdout at once, so that a log shows it when it is true."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """Write a line to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def progress_bars(*, wanted: bool, lines: bool = False) -> Iterator[Progress]:
    """Give a callback that draws one bar a stage on stderr.

    Parameters
    ----------
    wanted : bool
        Whether anything is shown at all.
    lines : bool, default=False
        Whether each finished stage is a plain line where stderr is no terminal, as in the log of
        a training job; otherwise nothing is shown there.

    Yields
    ------
    Progress
        One that does nothing, where nobody would see it.
    """
    if not wanted:
        yield ignore
    elif sys.stderr.isatty():
        with _drawn() as progress:
            yield progress
    elif lines:
        stages = _StageLines()
        yield stages
        stages.finish()
    else:
        yield ignore


@contextmanager
def _drawn() -> Iterator[Progress]:
    console = stderr_console()
    from rich.progress import (
        BarColumn,
        TaskID,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=console) as bars:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show


class _StageLines:
    """Say ``stage: 1.2 s`` when the next stage begins."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._began = time.perf_counter()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self.finish()
            self._stage = stage

    def finish(self) -> None:
        now = time.perf_counter()
        if self._stage is not None:
            remark(f"{self._stage}: {now - self._began:.1f} s")
        self._began = now
