"""What counts as a number in a text: decimal digits of ASCII, a point, an exponent.

The fast readers accept the same numbers, and NaN and infinity besides. Where one of them stops,
or hands back something that is not finite, the functions here say what is wrong with which cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kneighbors.errors import ArrayRefused, CorpusRefused, Refused

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_HINTS = (
    (re.compile(r".*[0-9]_[0-9]"), "Write it without the underscore."),
    (re.compile(r".*#"), "There are no comments in CSV; remove the text after #."),
    (re.compile(r"[+-]?0[xX]"), "Write it in decimal."),
    (re.compile(r"[+-]?[0-9.]+[,;][0-9]"), "Write a point before the fraction."),
    (re.compile(r"\[|array\("), "Name the column with vector_column."),
    (re.compile(r".*(?![0-9])\d"), "Write it in the digits 0 to 9."),
)
_MISSING = re.compile(r"na|n/a|<na>|null|none|-", re.IGNORECASE)
_REMOVE = "Remove the row."
_SHOWN_CHARACTERS = 40
#: What may stand around a number.
SPACE = " \t"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a cell, before anybody knows which file it is in.

    Attributes
    ----------
    code, message, hint : str
        As in `kneighbors.errors.KNeighborsError`.
    offset : int
        Where in the text of the cell the fault is, in characters.
    """

    code: str
    message: str
    hint: str | None = None
    offset: int = 0

    def at(self, where: str) -> Refused:
        """Return the error, with its place."""
        kind = ArrayRefused if self.code.startswith("array-") else CorpusRefused
        return kind(self.code, self.message, where=where, hint=self.hint)


def is_number(text: str) -> bool:
    """Tell whether `text` is a finite number as it stands, spaces and tabs aside.

    Examples
    --------
    >>> [is_number(text) for text in ("-1.5e-3", " 2. ", "1_000", "nan", "1e400", "")]
    [True, True, False, False, False, False]
    """
    return isinstance(read_number(text), float)


def could_be_number(text: str) -> bool:
    """Tell whether `text` stands where a number should: one, none, or not a finite one."""
    found = read_number(text)
    return isinstance(found, float) or found.code in ("array-not-finite", "corpus-cell-empty")


def read_number(text: str) -> float | Fault:
    """Return the finite number that `text` is, or what is wrong with it."""
    bare = text.strip(SPACE)
    if _NUMBER.fullmatch(bare):
        value = float(bare)
        if value not in (float("inf"), float("-inf")):
            return value
        return Fault("array-not-finite", f"Expected a finite number, got {shown(bare)}.")
    if not bare:
        return Fault("corpus-cell-empty", "Expected a number, got nothing.", _REMOVE)
    if _NOT_FINITE.fullmatch(bare):
        message = f"Expected a finite number, got {shown(bare)}."
        return Fault("array-not-finite", message, _REMOVE)
    if _MISSING.fullmatch(bare):
        return Fault("corpus-not-a-number", f"Expected a number, got {shown(bare)}.", _REMOVE)
    hint = next((hint for pattern, hint in _HINTS if pattern.match(bare)), None)
    return Fault("corpus-not-a-number", f"Expected a number, got {shown(bare)}.", hint)


def shown(text: str) -> str:
    """Return the beginning of an outside text, quoted, on one line, in ASCII."""
    return ascii(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...")
