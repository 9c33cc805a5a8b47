"""How a value, a list of rows or of names is shown in a message, whatever its size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SHOWN_CHARACTERS = 60
SHOWN_ROWS = 5


def quoted(value: object) -> str:
    """Return a value as Python writes it, cut to a line.

    Cost is bounded for text and bytes of any length, because they are cut before they are quoted.

    Examples
    --------
    >>> quoted("wine")
    "'wine'"
    >>> quoted("x" * 1_000_000)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' and 999940 characters more"
    """
    if isinstance(value, (str, bytes)) and len(value) > SHOWN_CHARACTERS:
        unit = "characters" if isinstance(value, str) else "bytes"
        rest = len(value) - SHOWN_CHARACTERS
        return f"{value[:SHOWN_CHARACTERS]!r} and {rest} {unit} more"
    if isinstance(value, (str, bytes, bool, float, type(None))):
        return repr(value)
    if isinstance(value, int):
        bits = value.bit_length()
        # More digits than this are slow to write, and Python refuses to from 4,300 on.
        return repr(value) if bits <= 256 else f"a number of {bits} bits"
    return f"a value of type {type(value).__name__}"


def rows_named(rows: Sequence[int]) -> str:
    """Return the first of some rows in words.

    Examples
    --------
    >>> rows_named([3])
    'row 3'
    >>> rows_named([3, 4, 9])
    'rows 3, 4 and 9'
    >>> rows_named(range(10))
    'rows 0, 1, 2, 3, 4 and 5 more'
    """
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) > SHOWN_ROWS:
        return f"rows {_joined(rows[:SHOWN_ROWS])} and {len(rows) - SHOWN_ROWS} more"
    return f"rows {_joined(rows[:-1])} and {rows[-1]}"


def names_listed(names: Iterable[object], most: int = 20) -> str:
    """Return names in quotes, with commas, at most so many.

    Examples
    --------
    >>> names_listed(["name", "price"])
    "'name', 'price'"
    """
    shown = [quoted(name) for name in names]
    rest = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {rest} more" if rest > 0 else "")


def _joined(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)
