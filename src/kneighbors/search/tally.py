"""How many rows have been scored exactly: what the bounds have left to do."""

from __future__ import annotations

import threading


class Tally(threading.local):
    """A count of each thread, which only grows: who wants to know takes the difference."""

    def __init__(self) -> None:
        self.scored = 0


TALLY = Tally()
