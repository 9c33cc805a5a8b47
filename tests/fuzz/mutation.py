"""Bodies and files that have been damaged at random, by a seed that names each of them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

#: What the special cases of parsers hang on.
PIECES = (
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\n", b"\r", b"\r\n", b"\0", b" ", b"\t"),
    *(b"NaN", b"Infinity", b"-Infinity", b"-", b"+", b"1e999", b"1e39", b"-0.0", b"5e-324"),
    *(b"null", b"true", b"false", b"9" * 400, b"\\ud800", b"\\u0000", b"\xff", b"\xc0\x80"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"()", b"<f8", b">f4", b"|O", b"<f2", b"(4,)", b"(1, 4)"),
    *(b"\x93NUMPY", b"\x01\x00", b"0", b".", b"e", b"E", b"#", b"_", b"'", b";", b"0x1p3"),
    *(b'"k":', b'"id":', b'"ids":', b'"instances":', b'"parameters":', b'"features":', b'"data":'),
    *(b'"values":', b'"w00"', b'"like":', b'"dislike":', b'"filter":', b'"exclude_ids":[', b"[]"),
    *(b"'shape': ", b"True", b"\xd9\xa1", b"\xe2\x80\xae", b"PK\x03\x04", b"\x1f\x8b", b"PAR1"),
)
_NUMBERS = (0, 1, 3, 4, 5, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 10**30)
_DIGITS = re.compile(rb"[0-9]+")
#: Levels of nesting, and copies of a piece, that are put in at once.
_MANY = (2, 3, 33, 200, 1200)


class Mutator:
    """Changes bytes at random.

    Parameters
    ----------
    seed : str
        The same seed gives the same bodies on every machine.
    corpus : sequence of bytes
        What to begin with, and to splice from.
    """

    def __init__(self, seed: str, corpus: Sequence[bytes]) -> None:
        self._random = random.Random(seed)
        self._corpus = corpus
        self._changes: tuple[Callable[[bytearray, int], None], ...] = (
            self._byte,
            self._bit,
            self._delete,
            self._double,
            self._insert,
            self._cut,
            self._splice,
            self._length,
            self._number,
            self._nest,
            self._repeat,
        )

    def next(self) -> bytes:
        """Return the next body: one of the corpus with one to four changes."""
        draw = self._random.random
        out = bytearray(self._corpus[int(draw() * len(self._corpus))])
        for _ in range(1 + int(draw() * draw() * 4)):
            change = self._changes[int(draw() * len(self._changes))]
            change(out, int(draw() * (len(out) + 1)))
        return bytes(out)

    def _below(self, count: int) -> int:
        return int(self._random.random() * count)

    def _byte(self, out: bytearray, place: int) -> None:
        out[place : place + 1] = bytes([self._below(256)])

    def _bit(self, out: bytearray, place: int) -> None:
        if place < len(out):
            out[place] ^= 1 << self._below(8)

    def _delete(self, out: bytearray, place: int) -> None:
        del out[place : place + 1 + self._below(8)]

    def _double(self, out: bytearray, place: int) -> None:
        out[place:place] = out[place : place + 1 + self._below(20)]

    def _insert(self, out: bytearray, place: int) -> None:
        out[place:place] = PIECES[self._below(len(PIECES))]

    def _cut(self, out: bytearray, place: int) -> None:
        del out[place:]

    def _splice(self, out: bytearray, place: int) -> None:
        other = self._corpus[self._below(len(self._corpus))]
        out[place:] = other[self._below(len(other) + 1) :]

    def _length(self, out: bytearray, place: int) -> None:
        """Overwrite what may be a length in binary."""
        size = (1, 2, 4, 8)[self._below(4)]
        place = min(place, 12) if self._below(2) else place
        number = _NUMBERS[self._below(len(_NUMBERS))] % (1 << (8 * size))
        out[place : place + size] = number.to_bytes(size, "little")

    def _number(self, out: bytearray, place: int) -> None:
        """Overwrite what may be a length in digits."""
        found = _DIGITS.search(out, place)
        if found is not None:
            out[found.start() : found.end()] = b"%d" % _NUMBERS[self._below(len(_NUMBERS))]

    def _nest(self, out: bytearray, place: int) -> None:
        count = _MANY[self._below(len(_MANY))]
        opening, closing = ((b"[", b"]"), (b'{"a":', b"}"), (b'{"features":', b"}"))[self._below(3)]
        end = place + self._below(len(out) - place + 1)
        out[end:end] = closing * count
        out[place:place] = opening * count

    def _repeat(self, out: bytearray, place: int) -> None:
        piece = bytes(out[place : place + 1 + self._below(12)])
        out[place:place] = piece * _MANY[self._below(len(_MANY) - 1)]
