"""Raw requests that have been damaged at random, by a seed that names each of them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

#: What readers of HTTP disagree about.
_PIECES = (
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b" ", b"\t", b"\x0b", b":", b";", b",", b"/"),
    *(b"\r\n ", b"\n\n", b"\r\r\n", b"\x7f", b"\x85", b"\xa0", b"\xff", b"%00", b"#", b"?", b"*"),
    *(b"0\r\n\r\n", b"3\r\nabc\r\n", b";a=b", b"chunked", b"identity", b"HTTP/1.1", b"HTTP/1.0"),
)
_LINES = (
    *(b"Content-Length: 3", b"Content-Length: 0", b"content-length:99", b"Content-Length: 3, 3"),
    *(b"Transfer-Encoding: chunked", b"transfer-encoding: identity", b"Host: b", b"host:"),
    *(b"Connection: close", b"Connection: keep-alive", b"Expect: 100-continue", b"Expect: x"),
    *(b"Upgrade: h2c", b"Content-Encoding: gzip", b"TE: trailers", b"Trailer: Content-Length"),
    *(b"Content-Type: application/json", b"Content-Type: text/csv", b"Accept: */*;q=0"),
    *(b"X-Request-Id: \xff", b"Authorization: Bearer x", b"Cookie: " + b"a" * 4_000, b"", b":"),
    *(b"Range: bytes=0-,0-,0-", b"X-Http-Method-Override: DELETE", b"Max-Forwards: 0"),
)
_FIRST = re.compile(rb"[^\r\n]*")
_NUMBER = re.compile(rb"[0-9]+")
_NUMBERS = (0, 1, 3, 47, 48, 200_000, 200_001, 2**31, 2**32, 2**63, 2**64, 10**30)
_METHODS = (b"GET", b"POST", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"CONNECT", b"PRI", b"g\xe9t")
_PATHS = (
    b"/ping",
    b"/invocations",
    b"/metrics",
    b"/",
    b"*",
    b"//ping",
    b"/%70ing",
    b"http://a/ping",
)


class RequestMutator:
    """Changes raw requests at random, and sends some of them one after the other.

    Parameters
    ----------
    seed : str
        The same seed gives the same bytes on every machine.
    corpus : sequence of bytes
        What to begin with, and to splice from.
    """

    def __init__(self, seed: str, corpus: Sequence[bytes]) -> None:
        self.random = random.Random(seed)
        self._corpus = corpus
        self._changes: tuple[Callable[[bytes], bytes], ...] = (
            *(self._byte, self._delete, self._insert, self._line, self._line, self._swap),
            *(self._cut, self._splice, self._number, self._number, self._ends, self._case),
            *(self._first, self._repeat),
        )

    def next(self) -> bytes:
        """Return bytes for one connection: one to three requests, most of them damaged."""
        draw = self.random
        return b"".join(self._one() for _ in range(draw.choice((1, 1, 1, 2, 3))))

    def _one(self) -> bytes:
        out = self.random.choice(self._corpus)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3))):
            out = self.random.choice(self._changes)(out)
        return out

    def _at(self, data: bytes) -> int:
        # Nearer to the beginning, where the head is.
        return int(self.random.random() ** 2 * (len(data) + 1))

    def _byte(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + bytes([self.random.randrange(256)]) + data[at + 1 :]

    def _delete(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + data[at + self.random.choice((1, 1, 2, 7, 60)) :]

    def _insert(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self.random.choice(_PIECES) + data[at:]

    def _line(self, data: bytes) -> bytes:
        lines = data.split(b"\r\n")
        lines.insert(self.random.randrange(1, len(lines) + 1), self.random.choice(_LINES))
        return b"\r\n".join(lines)

    def _swap(self, data: bytes) -> bytes:
        lines = data.split(b"\r\n")
        here, there = (self.random.randrange(len(lines)) for _ in range(2))
        lines[here], lines[there] = lines[there], lines[here]
        return b"\r\n".join(lines)

    def _cut(self, data: bytes) -> bytes:
        return data[: self._at(data)]

    def _splice(self, data: bytes) -> bytes:
        other = self.random.choice(self._corpus)
        return data[: self._at(data)] + other[self._at(other) :]

    def _number(self, data: bytes) -> bytes:
        found = list(_NUMBER.finditer(data[:2_000]))
        if not found:
            return data
        one = self.random.choice(found)
        number = self.random.choice((*_NUMBERS, int(one[0][:18]) + self.random.choice((-1, 1))))
        return data[: one.start()] + b"%d" % number + data[one.end() :]

    def _ends(self, data: bytes) -> bytes:
        ends = [one.start() for one in re.finditer(rb"\r\n", data)]
        if not ends:
            return data
        at = self.random.choice(ends)
        return data[:at] + self.random.choice((b"\n", b"\r", b"", b"\r\n\r\n")) + data[at + 2 :]

    def _case(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + data[at : at + 9].swapcase() + data[at + 9 :]

    def _first(self, data: bytes) -> bytes:
        """Ask for something else."""
        line = self.random.choice(_METHODS) + b" " + self.random.choice(_PATHS) + b" HTTP/1.1"
        return _FIRST.sub(lambda _: line, data, count=1)

    def _repeat(self, data: bytes) -> bytes:
        at, size = self._at(data), self.random.choice((1, 8, 60))
        return (
            data[:at] + data[at : at + size] * self.random.choice((2, 3, 120)) + data[at + size :]
        )


def pieces(data: bytes, draw: random.Random) -> list[bytes]:
    """Cut bytes at a few places, or not at all."""
    cuts = sorted(draw.randrange(len(data) + 1) for _ in range(draw.choice((0, 0, 0, 1, 4))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
