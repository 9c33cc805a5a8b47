"""What the processes of one server know of each other: numbers in memory that all of them map.

The parent makes the board before it forks. Each worker writes its own row and reads all of them;
a number is eight aligned bytes, so there are no locks. A worker that replaces a dead one takes
its row, and its counters go on from there.
"""

from __future__ import annotations

import json
import mmap
from enum import IntEnum


class State(IntEnum):
    """Where a worker is in its life."""

    ABSENT = 0
    LOADING = 1
    READY = 2
    FAILED = 3
    STOPPING = 4


_STATE = 0
_CONNECTIONS = 1
_OWN = 2  # numbers of a row that are the board's own

_OPENED = 0
_STARTS = 1
_HEADER = 2

_FAILURE_BYTES = 1 << 16


class Board:
    """The numbers of all workers.

    Parameters
    ----------
    workers : int
        Number of rows.
    numbers : int
        Numbers in each row that the caller gives a meaning to.
    must_open : bool, default=False
        Whether a worker that cannot open its model ends the server, until all have been ready.
    """

    def __init__(self, workers: int, numbers: int, *, must_open: bool = False) -> None:
        self.workers = workers
        self._must_open = must_open
        width = _OWN + numbers
        self._memory = mmap.mmap(-1, 8 * (_HEADER + workers * width))
        cells = memoryview(self._memory).cast("d")
        self._header = cells[:_HEADER]
        starts = range(_HEADER, _HEADER + workers * width, width)
        self.slots = tuple(
            Slot(self, number, cells[start : start + width]) for number, start in enumerate(starts)
        )

    @property
    def opened(self) -> bool:
        """Whether every worker has been ready at the same time; stays true from then on."""
        if not self._header[_OPENED]:
            if any(slot.state is not State.READY for slot in self.slots):
                return False
            self._header[_OPENED] = 1.0
        return True

    @property
    def settled(self) -> bool:
        """Whether no worker is on its way any more."""
        return all(slot.state in (State.READY, State.FAILED) for slot in self.slots)

    @property
    def ends_on_failure(self) -> bool:
        """Whether a worker that cannot open its model ends the server."""
        return self._must_open and not self.opened

    @property
    def starts(self) -> int:
        """How many workers have been started, replacements included."""
        return int(self._header[_STARTS])

    def count(self, state: State) -> int:
        """Return how many workers are in a state."""
        return sum(slot.state is state for slot in self.slots)

    def take(self) -> Slot:
        """Give the first free row to a worker that is about to start; the parent calls this."""
        for slot in self.slots:
            if slot.state is State.ABSENT:
                slot.clear()
                slot.state = State.LOADING
                self._header[_STARTS] += 1.0
                return slot
        raise RuntimeError("every row of the board is taken")


class Slot:
    """The row of one worker.

    Attributes
    ----------
    number : int
        Place on the board.
    numbers : memoryview of float64
        What the caller gives a meaning to.
    """

    def __init__(self, board: Board, number: int, cells: memoryview[float]) -> None:
        self.board = board
        self.number = number
        self._cells = cells
        self._failure = mmap.mmap(-1, _FAILURE_BYTES)
        self.numbers = cells[_OWN:]

    @property
    def state(self) -> State:
        """Where the worker is in its life."""
        return State(int(self._cells[_STATE]))

    @state.setter
    def state(self, state: State) -> None:
        self._cells[_STATE] = float(state)

    @property
    def connections(self) -> int:
        """Open connections of the worker."""
        return int(self._cells[_CONNECTIONS])

    @connections.setter
    def connections(self, count: int) -> None:
        self._cells[_CONNECTIONS] = float(count)

    @property
    def failure(self) -> dict[str, str]:
        """Why the worker could not open its model, for the parent to log; empty if unsaid."""
        written = self._failure[:].rstrip(b"\0")
        found: dict[str, str] = json.loads(written) if written else {}
        return found

    @failure.setter
    def failure(self, facts: dict[str, str]) -> None:
        self._failure[:] = json.dumps(facts).encode().ljust(_FAILURE_BYTES, b"\0")

    @property
    def is_open(self) -> bool:
        """Whether this worker may say that the server is ready: it is, and all have been."""
        return self.state is State.READY and self.board.opened

    def clear(self) -> None:
        """Free the row; what the caller keeps in it stays."""
        self.state = State.ABSENT
        self.connections = 0
