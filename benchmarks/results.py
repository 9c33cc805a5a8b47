"""Results: one JSON line a measurement, appended, each with where it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine import THREADS
from machine import describe

FOLDER = Path(__file__).resolve().parent / "results"
#: Of the short form; the documentation is made from the others only.
SHORT = FOLDER / "short"

Line = dict[str, Any]


def append(kind: str, line: Line, folder: Path = FOLDER) -> None:
    """Append a measurement to the lines of its kind."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"threads": THREADS, **line, **describe()}
    with (folder / f"{kind}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(whole) + "\n")


def read(kind: str, folder: Path = FOLDER) -> list[Line]:
    """Return the lines of a kind, oldest first; none where nothing has been measured."""
    path = folder / f"{kind}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
