"""The framing of a chunked body: where it ends, and that nothing in it is odd."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

from kneighbors.server.refusals import HTTPRefused, body_too_large

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[\t ]*;[\t\x20-\x7e]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")

_LONGEST_LINE = 128  # bytes of a size with its extension; clients that send any send few
_LONGEST_TRAILER = 1024
# Bodies of tiny chunks cost much more to take apart than they bring: beyond the first, chunks
# must hold this many bytes each on average.
_FREE_CHUNKS = 4096
_BYTES_A_CHUNK = 16


class Chunks:
    r"""Follows a chunked body without keeping it.

    Parameters
    ----------
    most : int
        Bytes of data that the body may have.

    Examples
    --------
    >>> chunks = Chunks(10)
    >>> chunks.feed(b"3\r\nabc\r\n0\r\n\r\nGET"), chunks.complete
    (13, True)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = b""
        self._left = 0
        self._count = 0
        self._trailer = 0
        self.data_bytes = 0
        self.complete = False
        self._step: Callable[[bytes, int], int] = self._size

    def feed(self, data: bytes) -> int:
        """Return how many of the bytes belong to this body.

        Raises
        ------
        HTTPRefused
            With code ``chunk-malformed`` or ``body-too-large``.
        """
        place = 0
        while place < len(data) and not self.complete:
            place = self._step(data, place)
        return place

    def _take_line(self, data: bytes, place: int) -> tuple[bytes | None, int]:
        """Return the line that ends here, without its end; None while it is incomplete."""
        end = data.find(b"\n", place, place + _LONGEST_LINE + 2)
        stop = len(data) if end < 0 else end + 1
        line = self._line + data[place:stop]
        if len(line) > _LONGEST_LINE + 2:
            _refuse(f"a line of at most {_LONGEST_LINE} bytes, got a longer one")
        if end < 0:
            self._line = line
            return None, stop
        self._line = b""
        if not line.endswith(b"\r\n"):
            _refuse("lines that end in CR LF, got another end")
        return line[:-2], stop

    def _size(self, data: bytes, place: int) -> int:
        line, place = self._take_line(data, place)
        if line is None:
            return place
        match = _SIZE.fullmatch(line)
        if match is None:
            _refuse("a size in hexadecimal, got something else")
        self._left = int(match[1], 16)
        self._step = self._data if self._left else self._trailers
        self._count += 1
        self.data_bytes += self._left
        if self.data_bytes > self._most:
            raise body_too_large(self._most)
        if self._count > _FREE_CHUNKS + self.data_bytes // _BYTES_A_CHUNK:
            _refuse("chunks of more than a few bytes, got too many small ones")
        return place

    def _data(self, data: bytes, place: int) -> int:
        used = min(self._left, len(data) - place)
        self._left -= used
        if not self._left:
            self._step = self._end_of_data
        return place + used

    def _end_of_data(self, data: bytes, place: int) -> int:
        line, place = self._take_line(data, place)
        if line is None:
            if self._line != b"\r":
                _refuse("CR LF after the data of a chunk, got something else")
            return place
        if line:
            _refuse("CR LF after the data of a chunk, got something else")
        self._step = self._size
        return place

    def _trailers(self, data: bytes, place: int) -> int:
        line, place = self._take_line(data, place)
        if line is None:
            return place
        if not line:
            self.complete = True
            return place
        self._trailer += len(line)
        if self._trailer > _LONGEST_TRAILER or not _TRAILER.fullmatch(line):
            _refuse("few and plain trailers, got others")
        return place


def _refuse(expected: str) -> NoReturn:
    raise HTTPRefused("chunk-malformed", f"Expected {expected}.", where="the chunked body")
