"""Where the demo tells what it does: each stage a line with the time that it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

_NAME_WIDTH = 28


class Stage:
    """A stage that is under way.

    Parameters
    ----------
    screen : Screen
    name : str
        What is being done.
    """

    def __init__(self, screen: Screen, name: str) -> None:
        self._screen = screen
        self._name = name
        self._began = time.perf_counter()
        self._spinner: Status | None = None
        if screen.console.is_terminal:
            self._spinner = screen.console.status(name)
            self._spinner.start()

    def done(self, result: str) -> None:
        """Say how long the stage took, and what came of it."""
        seconds = time.perf_counter() - self._began
        self.stop()
        self._screen.line(f"{self._name:{_NAME_WIDTH}} {seconds:6.2f} s   {result}")

    def stop(self) -> None:
        """Take the spinner away, if there is one."""
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None


class Screen:
    """The output of the demo.

    Parameters
    ----------
    console : Console
        Of stdout.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    def line(self, text: str = "", style: str | None = None) -> None:
        """Write a line as it is, at once."""
        self.console.print(text, style=style, markup=False, soft_wrap=True)
        self.console.file.flush()

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a stage; whoever runs it calls `Stage.done`."""
        stage = Stage(self, name)
        try:
            yield stage
        finally:
            stage.stop()
