"""CSV as bytes: cut into blocks of whole records, records into cells, and every place has a line.

The grammar is that of RFC 4180: commas, double quotes around whole cells, doubled within them,
lines that end in LF or CR LF, also inside of quotes. Anything that readers understand differently
is refused here, so that the fast reader and the slow one cannot disagree.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import CorpusRefused

#: What is parsed at once. Smaller blocks cost calls, larger ones memory.
BLOCK_BYTES = 4 << 20
#: A record beyond this is no record, but what follows a quote that nobody closed.
MAX_RECORD_BYTES = 64 << 20
#: What the first block holds at least: a header says little without the record after it.
_FIRST_RECORDS = 2
_CELL = re.compile(rb'(?:"([^"]*(?:""[^"]*)*)"|([^,"]*))(?:,|\Z)')
_OTHER_ENCODINGS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_COMMA, _QUOTE, _LF, _CR = b',"\n\r'


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a record.

    Attributes
    ----------
    data : bytes
        Its text, without the quotes around it.
    is_quoted : bool
        Whether there were any: an empty text in quotes is a text, one without is none.
    offset : int
        Where it begins in the record, in bytes.
    """

    data: bytes
    is_quoted: bool
    offset: int


@dataclass(frozen=True)
class Block:
    """Whole records, the last of which may lack its line end.

    Attributes
    ----------
    data : bytes
        Their bytes.
    line : int
        Number of the first line in the file, counted from 1.
    shown : str
        The file, for messages.
    """

    data: bytes
    line: int
    shown: str

    @cached_property
    def _quotes(self) -> NDArray[np.int64]:
        return _positions(self.data, _QUOTE)

    @cached_property
    def _feeds(self) -> NDArray[np.int64]:
        return _positions(self.data, _LF)

    @property
    def n_feeds(self) -> int:
        """Number of line feeds, in quotes or not."""
        return len(self._feeds)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Where each record ends: the offset of its line feed, or of the end of the block."""
        ends = _outside_quotes(self._feeds, self._quotes)
        if not self.data.endswith(b"\n") or not len(ends) or ends[-1] != len(self.data) - 1:
            ends = np.append(ends, len(self.data))
        return ends

    @cached_property
    def has_line_in_cell(self) -> bool:
        """Whether any cell runs over several lines."""
        n_ended = len(self.ends) - (not self.data.endswith(b"\n"))
        return n_ended < self.n_feeds

    def records(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield the line and the bytes of each record from number `start` on."""
        begins = np.concatenate(([0], self.ends[:-1] + 1)).tolist()
        line, counted = self.line, 0
        for begin, end in zip(begins[start:], self.ends[start:].tolist(), strict=True):
            line, counted = line + self.data.count(b"\n", counted, begin), begin
            yield line, self.data[begin:end].removesuffix(b"\r")

    def line_of(self, offset: int) -> int:
        """Return the number of the line that holds a byte."""
        return self.line + self.data.count(b"\n", 0, offset)

    def without_first(self, records: int) -> Block:
        """Return the block that is left when some records are taken off."""
        if records == 0:
            return self
        cut = int(self.ends[records - 1]) + 1
        return Block(self.data[cut:], self.line_of(cut), self.shown)

    def check(self) -> None:
        """Refuse quotes and line ends that readers understand differently.

        Raises
        ------
        CorpusRefused
            With code ``corpus-quotes`` or ``corpus-line-ends``.
        """
        quotes = self._quotes
        if len(quotes):
            _check_quotes(self, quotes)
        if b"\r" in self.data and self.data.count(b"\r") != self.data.count(b"\r\n"):
            returns = _outside_quotes(_positions(self.data, _CR), quotes)
            alone = [at for at in returns.tolist() if self.data[at + 1 : at + 2] != b"\n"]
            if alone:
                raise CorpusRefused(
                    "corpus-line-ends",
                    "Expected lines that end in LF or CR LF, got a CR alone.",
                    where=f"{self.shown}, line {self.line_of(alone[0])}",
                )


def blocks(file: BinaryIO, shown: str) -> Iterator[Block]:
    """Cut a file into blocks of whole records.

    Parameters
    ----------
    file : binary file
        Read once, from its start; a byte order mark of UTF-8 is skipped.
    shown : str
        Its name, for messages.

    Yields
    ------
    Block
        Checked. Blank lines at the end of the file belong to none.

    Raises
    ------
    CorpusRefused
        With code ``corpus-encoding`` for UTF-16 and UTF-32, ``corpus-quotes`` or
        ``corpus-line-ends``.
    """
    held = file.read(BLOCK_BYTES)
    if held.startswith(_OTHER_ENCODINGS):
        raise CorpusRefused(
            "corpus-encoding", "Expected UTF-8, got UTF-16 or UTF-32.", where=f"{shown}, line 1"
        )
    held = held.removeprefix(codecs.BOM_UTF8)
    line = 1
    while held:
        more = file.read(BLOCK_BYTES)
        cut = _end_of_records(held) if more else len(held.rstrip(b"\r\n"))
        # At the end of the file, the last record keeps no line end: it may have had none.
        block = Block(held[:cut], line, shown)
        if line == 1 and more and len(block.ends) < _FIRST_RECORDS:
            cut = 0
        if cut:
            block.check()
            yield block
            line += block.n_feeds
        elif len(held) > MAX_RECORD_BYTES:
            Block(held, line, shown).check()
            raise CorpusRefused(
                "corpus-quotes",
                f"Expected a record of at most {MAX_RECORD_BYTES >> 20} MiB, got no end of one.",
                where=f"{shown}, line {line}",
                hint="Look for a quote that is not closed.",
            )
        held = held[cut:] + more if more else b""


def cells_of(record: bytes) -> list[Cell]:
    """Return the cells of a record, whose quotes were checked.

    Examples
    --------
    >>> [cell.data for cell in cells_of(b'1,"a ""b"", c",,')]
    [b'1', b'a "b", c', b'', b'']
    """
    found = []
    position = 0
    while True:
        match = _CELL.match(record, position)
        if match is None:
            raise AssertionError("quotes were checked")
        quoted = match[1]
        data = match[2] if quoted is None else quoted.replace(b'""', b'"')
        found.append(Cell(data, quoted is not None, match.start(1 if quoted is not None else 2)))
        position = match.end()
        if position == len(record) and not record.endswith(b",", match.start(), position):
            return found
        if position == len(record):
            found.append(Cell(b"", False, position))
            return found


def _end_of_records(held: bytes) -> int:
    """Return the length of the whole records at the start of `held`, blank lines at their end off.

    Those are kept for the next block: at the end of the file they mean nothing, elsewhere they
    are records without cells.
    """
    if b'"' not in held:
        cut = held.rfind(b"\n")
    else:
        ends = _outside_quotes(_positions(held, _LF), _positions(held, _QUOTE))
        cut = int(ends[-1]) if len(ends) else -1
    if cut < 0:
        return 0
    content = len(held[:cut].rstrip(b"\r\n"))
    return held.find(b"\n", content) + 1 if content else 0


def _positions(data: bytes, byte: int) -> NDArray[np.int64]:
    if data.find(byte) < 0:
        return np.empty(0, np.int64)
    return np.flatnonzero(np.frombuffer(data, np.uint8) == byte)


def _outside_quotes(positions: NDArray[np.int64], quotes: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(quotes):
        return positions
    outside: NDArray[np.int64] = positions[np.searchsorted(quotes, positions) % 2 == 0]
    return outside


def _check_quotes(block: Block, quotes: NDArray[np.int64]) -> None:
    """Refuse quotes that neither begin nor end a cell, nor are doubled within one."""
    data = np.frombuffer(block.data, np.uint8)
    opening, closing = quotes[0::2], quotes[1::2]
    before = np.where(opening == 0, _LF, data[opening - 1])
    after = np.where(closing == len(data) - 1, _LF, data[np.minimum(closing + 1, len(data) - 1)])
    stray = np.concatenate(
        [
            opening[~np.isin(before, (_COMMA, _LF, _QUOTE))],
            closing[~_ends_cell(data, closing, after)],
        ]
    )
    if len(stray):
        raise CorpusRefused(
            "corpus-quotes",
            "Expected quotes around whole cells only, and doubled within them.",
            where=f"{block.shown}, line {block.line_of(int(stray.min()))}",
        )
    if len(quotes) % 2:
        raise CorpusRefused(
            "corpus-quotes",
            "Expected a quote at the end of the cell, got none.",
            where=f"{block.shown}, line {block.line_of(int(quotes[-1]))}",
        )


def _ends_cell(
    data: NDArray[np.uint8], closing: NDArray[np.int64], after: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    two_after = data[np.minimum(closing + 2, len(data) - 1)]
    ends: NDArray[np.bool_] = np.isin(after, (_COMMA, _LF, _QUOTE))
    ends |= (after == _CR) & (two_after == _LF)
    return ends
