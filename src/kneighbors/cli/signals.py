"""SIGTERM as an exception, so that what a command was doing is undone before it ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kneighbors.cli.failures import Terminated


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Terminated on SIGTERM and KeyboardInterrupt on SIGINT, each once.

    The first signal starts the clean-up; further ones are ignored, since an exception in the
    middle of the clean-up would leave behind what it was removing. SIGKILL is left to those who
    cannot wait.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers; a program that calls `run` elsewhere has its own.
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        if number == signal.SIGTERM:
            raise Terminated
        raise KeyboardInterrupt

    try:
        for number, handler in before.items():
            # A shell starts background jobs with SIGINT ignored, and means it.
            if handler is not signal.SIG_IGN:
                signal.signal(number, on_signal)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
