"""CSV as a corpus: numbers in columns, or vectors as text in one; fast, and exact about faults.

Each block of records is parsed by Arrow. Where Arrow refuses a block, or hands back something that
is not finite, the same block is read again record by record: that gives the line and the column
of the fault, or, where Arrow was only too careful, the numbers.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kneighbors.corpus.csv_layout import Layout, layout_of
from kneighbors.corpus.numerals import Fault, read_number
from kneighbors.corpus.records import Block, Cell, blocks, cells_of
from kneighbors.corpus.roles import Wanted
from kneighbors.corpus.sink import File, Sink
from kneighbors.corpus.text_vectors import parse_cell, parse_column
from kneighbors.errors import CorpusRefused
from kneighbors.storage import translated

if TYPE_CHECKING:
    import pyarrow as pa

#: Arrow gives each of its threads so much to parse. Records beyond it are parsed by one thread.
_THREAD_BYTES = 1 << 20


def read_csv(file: File, wanted: Wanted, sink: Sink) -> None:
    """Add the rows of a CSV, compressed with gzip or not, to `sink`.

    Raises
    ------
    CorpusRefused
        With code ``corpus-columns``, ``corpus-ragged``, ``corpus-not-a-number``,
        ``corpus-cell-empty``, ``corpus-vector-text``, ``corpus-vector-truncated``,
        ``corpus-quotes``, ``corpus-line-ends``, ``corpus-encoding``, ``corpus-truncated``,
        ``corpus-damaged`` or ``corpus-empty``.
    ArrayRefused
        With code ``array-not-finite`` for NaN and infinity.
    """
    layout: Layout | None = None
    width: int | None = None
    with _opened(file) as (text, raw):
        for block in blocks(text, file.shown):
            if layout is None:
                layout = layout_of(block, wanted, lambda names: sink.demand_columns(file, names))
                sink.begin(file, layout.names, layout.roles)
                block = block.without_first(1 if layout.has_header else 0)
                if not block.data:
                    continue
            vectors, items = _parsed(block, layout, width)
            sink.add(vectors, items)
            width = vectors.shape[1]
            sink.advance(raw.tell())
    if layout is None:
        raise CorpusRefused("corpus-empty", "Expected rows, got none.", where=file.shown)
    sink.end()


@contextmanager
def _opened(file: File) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    with translated(file.shown), file.path.open("rb") as raw:
        if not file.is_compressed:
            yield raw, raw
            return
        try:
            with gzip.GzipFile(fileobj=raw) as text:
                yield text, raw  # type: ignore[misc]
        except EOFError as error:
            raise CorpusRefused(
                "corpus-truncated",
                "Expected the end of the compressed data, got the end of the file.",
                where=file.shown,
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise CorpusRefused(
                "corpus-damaged", f"Expected data compressed with gzip: {error}.", where=file.shown
            ) from error


def _parsed(
    block: Block, layout: Layout, width: int | None
) -> tuple[NDArray[np.float64], pa.Table | None]:
    table = _table(block, layout)
    if table is not None:
        vectors = _vectors(table, layout, width)
        if vectors is not None:
            return vectors, _items_of(table, layout)
    return _parsed_slowly(block, layout, width)


def _table(block: Block, layout: Layout) -> pa.Table | None:
    """Return what Arrow makes of a block, or None if it refuses or misses any of it."""
    import pyarrow as pa
    from pyarrow import csv

    names = [str(n) for n in range(len(layout.names))]
    numbers = set(layout.roles.dimensions)
    types = {
        name: pa.float64() if layout.names[n] in numbers else pa.string()
        for n, name in enumerate(names)
    }
    convert = csv.ConvertOptions(
        column_types=types,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = csv.ParseOptions(newlines_in_values=block.has_line_in_cell, ignore_empty_lines=False)
    for size in sorted({min(_THREAD_BYTES, len(block.data) + 1), len(block.data) + 1}):
        read = csv.ReadOptions(column_names=names, block_size=size)
        try:
            table = csv.read_csv(pa.BufferReader(block.data), read, parse, convert)
        except pa.ArrowException:
            continue
        return table if table.num_rows == len(block.ends) else None
    return None


def _vectors(table: pa.Table, layout: Layout, width: int | None) -> NDArray[np.float64] | None:
    position = {name: n for n, name in enumerate(layout.names)}
    if layout.roles.vector is not None:
        cells = table.column(position[layout.roles.vector]).combine_chunks()
        return parse_column(cells, width)
    columns = [table.column(position[name]) for name in layout.roles.dimensions]
    if any(column.null_count for column in columns):
        return None
    result = np.empty((table.num_rows, len(columns)))
    # Chunk by chunk, so that what is written to stays in the cache.
    start = 0
    for n, chunk in enumerate(columns[0].chunks):
        part = result[start : start + len(chunk)]
        for m, column in enumerate(columns):
            part[:, m] = column.chunk(n).to_numpy()
        start += len(chunk)
    return result if np.isfinite(result).all() else None


def _items_of(table: pa.Table, layout: Layout) -> pa.Table | None:
    others = set(layout.roles.others)
    kept = [n for n, name in enumerate(layout.names) if name in others]
    if not kept:
        return None
    return table.select(kept).rename_columns([layout.names[n] for n in kept])


def _parsed_slowly(
    block: Block, layout: Layout, width: int | None
) -> tuple[NDArray[np.float64], pa.Table | None]:
    """Read a block record by record, and refuse the first fault with its line and column."""
    import pyarrow as pa

    position = {name: n for n, name in enumerate(layout.names)}
    numbers = [position[name] for name in layout.roles.dimensions]
    others = [position[name] for name in layout.roles.others]
    rows: list[list[float]] = []
    items: list[list[str | None]] = [[] for _ in others]
    for line, record in block.records():
        place = _Place(block.shown, line, record, layout.names)
        cells = cells_of(record)
        if len(cells) != len(layout.names):
            raise _ragged(place, len(layout.names), len(cells))
        if layout.roles.vector is None:
            row = [_number(cells[n], n, place) for n in numbers]
        else:
            n = position[layout.roles.vector]
            row = _vector(cells[n], n, place, width)
            width = len(row)
        rows.append(row)
        for values, n in zip(items, others, strict=True):
            text = place.text(cells[n], n)
            values.append(text if text or cells[n].is_quoted else None)
    vectors = np.array(rows, np.float64).reshape(len(rows), -1)
    if not others:
        return vectors, None
    arrays: list[Any] = [pa.array(values, pa.string()) for values in items]
    return vectors, pa.table(arrays, names=list(layout.roles.others))


class _Place:
    """A record that is being read, for the messages about it."""

    def __init__(self, shown: str, line: int, record: bytes, names: tuple[str, ...]) -> None:
        self._shown = shown
        self._line = line
        self._record = record
        self._names = names

    def of(self, column: int | None = None, offset: int = 0) -> str:
        """Return the place of a byte of the record."""
        line = self._line + self._record.count(b"\n", 0, offset)
        where = f"{self._shown}, line {line}"
        if column is None:
            return where
        return f"{where}, column {column + 1} ({self._names[column]!a})"

    def text(self, cell: Cell, column: int) -> str:
        """Return the text of a cell, which must be UTF-8."""
        try:
            return cell.data.decode()
        except UnicodeDecodeError as error:
            raise CorpusRefused(
                "corpus-encoding",
                f"Expected UTF-8, got the byte 0x{cell.data[error.start]:02x}.",
                where=self.of(column, cell.offset + error.start),
            ) from error


def _number(cell: Cell, column: int, place: _Place) -> float:
    found = read_number(place.text(cell, column))
    if isinstance(found, Fault):
        raise found.at(place.of(column, cell.offset))
    return found


def _vector(cell: Cell, column: int, place: _Place, width: int | None) -> list[float]:
    text = place.text(cell, column)
    found = parse_cell(text, width)
    if isinstance(found, Fault):
        raise found.at(place.of(column, cell.offset + len(text[: found.offset].encode())))
    return found


def _ragged(place: _Place, expected: int, got: int) -> CorpusRefused:
    # The first cell that is missing, or the first that is too many.
    column = f", column {min(expected, got) + 1}"
    return CorpusRefused(
        "corpus-ragged",
        f"Expected {expected} cells, got {got}.",
        where=place.of() + column,
    )
