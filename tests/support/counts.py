"""What a run of tests has tried, as lines of JSON that the page on reliability is made from."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

#: Names the folder to write to; without it nothing is written.
VARIABLE = "KNEIGHBORS_COUNTS_DIR"


@dataclass
class Counts:
    """How many bad inputs of one kind came through one door, and what went wrong.

    Parameters
    ----------
    kind : str
        What was sent, such as ``"mutated json"``.
    door : str
        What it was sent to, such as ``"decode"`` or ``"server"``.
    """

    kind: str
    door: str
    tried: int = 0
    wrong: int = 0
    status_5xx: int = 0
    tracebacks: int = 0
    hangs: int = 0
    most_memory_multiple: float | None = None

    def memory(self, multiple: float) -> None:
        """Note what one input took, as a multiple of its size."""
        self.most_memory_multiple = max(self.most_memory_multiple or 0.0, multiple)

    def record(self) -> None:
        """Write the counts, where a folder is named."""
        folder = os.environ.get(VARIABLE)
        if folder:
            with (Path(folder) / f"{os.getpid()}.jsonl").open("a") as file:
                file.write(json.dumps(asdict(self)) + "\n")
