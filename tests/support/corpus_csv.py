"""CSV by other means than ours: Python's own reader and `float`, to hold ours against."""

from __future__ import annotations

import csv
import io
import re

_NUMBER = re.compile(r"[ \t]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t]*", re.ASCII)


def written(rows: list[list[str]], line_end: str = "\n", quote_all: bool = False) -> str:
    """Return rows of cells as Python writes them."""
    text = io.StringIO(newline="")
    if quote_all:
        csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    else:
        csv.writer(text, lineterminator=line_end).writerows(rows)
    return text.getvalue()


def numbers_of(text: str) -> list[list[float]] | None:
    """Return a table of finite numbers of one width, or None if the text is no such table."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return None
    if not rows or len({len(row) for row in rows}) > 1:
        return None
    if not all(_NUMBER.fullmatch(cell) for row in rows for cell in row):
        return None
    values = [[float(cell) for cell in row] for row in rows]
    if any(value in (float("inf"), float("-inf")) for row in values for value in row):
        return None
    return values
