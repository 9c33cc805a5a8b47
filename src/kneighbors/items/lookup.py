"""Finding rows by what somebody types: the beginnings of words first, then what is spelled alike.

All texts lie folded in one run of bytes, a line each, so that a search is a search for bytes in
memory and keeps no Python object for a row.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kneighbors.items.spelling import edits, letters_of

#: Rows that are put into order; of more, the first are.
_MOST_RANKED = 5_000
_MOST_WORDS = 8
_LONGEST_QUERY = 200
_LIKE_WORDS = 5
_SHORTEST_MENDED = 3

_MARKS = re.compile("[\u0300-\u036f]+")
_PUNCTUATION = bytes(
    code if code >= 128 or chr(code).isalnum() or code == 10 else 32 for code in range(256)
)


class Match(NamedTuple):
    """A row whose text was found."""

    row: int
    text: str


class Lookup:
    """Texts of all rows, to be searched while somebody types.

    Parameters
    ----------
    texts : iterable of str or None
        One for each row.

    Notes
    -----
    Takes the folded text and 8 bytes a row of memory; some 2 s a million rows to make, and some
    milliseconds for each search of 180,000 names. May be used by threads.

    Examples
    --------
    >>> lookup = Lookup(["Château Malbec 2011", "Malbec Clásico", "Merlot", None])
    >>> lookup.rows("malb"), lookup.rows("cha malb"), lookup.rows("mlabec")
    ([1, 0], [0], [1, 0])
    """

    def __init__(self, texts: Iterable[str | None]) -> None:
        lines = (_without_accents(" ".join(text.split("\n"))) if text else "" for text in texts)
        # A line begins with a blank, as every other word does.
        self._data = _folded("\n " + "\n ".join(lines))
        self._starts = np.flatnonzero(np.frombuffer(self._data, dtype=np.uint8) == ord("\n"))
        self._words = sorted({word.decode(errors="replace") for word in set(self._data.split())})
        self._letters = letters_of(self._words)

    def rows(self, query: str, limit: int = 20) -> list[int]:
        """Return rows whose text is like a query, the likeliest first.

        Every word of the query begins a word of the text. Texts that begin with the whole query
        come first, then shorter ones before longer ones; where more than 5,000 match, the first
        5,000 rows are put into order. Where there is none, one slip of the finger in each word is
        forgiven; and then the query may stand within words.

        Parameters
        ----------
        query : str
            Case, accents and punctuation make no difference; the first 200 characters and 8 words
            count.
        limit : int, default 20
        """
        words = _folded(_without_accents(query[:_LONGEST_QUERY])).split()[:_MOST_WORDS]
        if not words or limit < 1:
            return []
        lines = self._with_all([[b" " + word] for word in words])
        if not lines:
            lines = self._with_all([self._like(word) for word in words])
        if not lines:
            lines = self._with_all([[b" ".join(words)]])
        return self._ranked(lines, b"\n " + b" ".join(words))[:limit]

    def _with_all(self, choices: Sequence[Sequence[bytes]]) -> list[int]:
        """Return where the lines begin that, of each list, have a piece."""
        # The rarest leads, and is looked for in all lines; the others only where it is.
        if len(choices) > 1:
            choices = sorted(choices, key=lambda pieces: sum(map(self._data.count, pieces)))
        found: set[int] = set()
        for piece in choices[0]:
            found.update(self._lines_with(piece, choices[1:], _MOST_RANKED - len(found)))
        return sorted(found)

    def _lines_with(
        self, leading: bytes, others: Sequence[Sequence[bytes]], most: int
    ) -> Iterator[int]:
        data, place = self._data, 0
        while most > 0 and (place := data.find(leading, place)) >= 0:
            start, stop = data.rfind(b"\n", 0, place + 1), data.find(b"\n", place + 1)
            stop = len(data) if stop < 0 else stop
            if all(any(data.find(p, start, stop) >= 0 for p in pieces) for pieces in others):
                yield start
                most -= 1
            place = stop

    def _ranked(self, lines: Sequence[int], beginning: bytes) -> list[int]:
        starts = np.array(lines, dtype=np.int64)
        rows = np.searchsorted(self._starts, starts)
        lengths = np.append(self._starts, len(self._data))[rows + 1] - starts
        others = [not self._data.startswith(beginning, start) for start in lines]
        order = np.lexsort((rows, lengths, np.array(others, dtype=np.bool_)))
        ranked: list[int] = rows[order].tolist()
        return ranked

    def _like(self, word: bytes) -> list[bytes]:
        """Return beginnings of known words that are one slip away from a word, or the word."""
        text = word.decode(errors="replace")
        if len(text) < _SHORTEST_MENDED or self._begins(text):
            return [b" " + word]
        known = [edit for edit in edits(text, self._letters) if edit and self._begins(edit)]
        return [b" " + edit.encode() for edit in dict.fromkeys(known)][:_LIKE_WORDS] or [
            b" " + word
        ]

    def _begins(self, beginning: str) -> bool:
        place = bisect_left(self._words, beginning)
        return place < len(self._words) and self._words[place].startswith(beginning)


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKD", text).casefold()
    return _MARKS.sub("", unicodedata.normalize("NFKD", folded))


def _folded(text: str) -> bytes:
    """Return a text without case and punctuation."""
    return text.lower().encode(errors="replace").translate(_PUNCTUATION)
