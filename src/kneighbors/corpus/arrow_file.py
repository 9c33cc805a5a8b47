"""Parquet and Arrow files as a corpus, batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from mmap import ACCESS_READ, MADV_DONTNEED, mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.corpus.arrow_vectors import is_list, is_text, numpy_types, vectors_of
from kneighbors.corpus.roles import Column, Kind, Roles, Wanted, choose
from kneighbors.corpus.sink import File, Sink
from kneighbors.corpus.text_vectors import looks_like_vector
from kneighbors.errors import CorpusRefused, KNeighborsError
from kneighbors.storage import translated

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows that are held at once; of 4,096 dimensions, they are 64 MiB.
_BATCH_ROWS = 2048
#: What a column of a Parquet file reads ahead.
_READ_AHEAD_BYTES = 256 << 10
#: Columns that are read in one pass over a Parquet file.
_COLUMNS_AT_ONCE = 16
#: Rows by which a column of text is judged.
_SAMPLE_ROWS = 16
_STREAM_MAGIC = b"\xff\xff\xff\xff"
_STREAM_END = _STREAM_MAGIC + bytes(4)


def read_parquet(file: File, wanted: Wanted, sink: Sink) -> None:
    """Add the rows of a Parquet file to `sink`.

    Raises
    ------
    CorpusRefused
        With code ``corpus-columns``, ``corpus-damaged``, ``corpus-dtype``, ``corpus-null``,
        ``corpus-ragged``, ``corpus-shape``, or as texts of vectors in CSV.
    """
    import pyarrow as pa
    from pyarrow import parquet

    # Without these two, a whole column of a row group is read at once: often, the whole file.
    options: Any = {"pre_buffer": False, "buffer_size": _READ_AHEAD_BYTES}
    with (
        _refusing_damage(file, "Parquet"),
        pa.OSFile(os.fsencode(file.path)) as data,
        parquet.ParquetFile(data, page_checksum_verification=True, **options) as opened,
    ):
        schema = opened.schema_arrow
        first, stop = file.rows or (0, opened.metadata.num_rows)
        n_rows = stop - first
        if n_rows == 0:
            _pass_over(file, sink)
            return
        sink.demand_columns(file, schema.names)
        roles = _roles(schema, _sample(opened, schema), wanted, file)
        sink.begin(file, schema.names, roles)
        if roles.vector is None:
            _add_dimensions(opened, roles, (first, stop), file, sink)
        else:
            vectors = _batches(opened, [roles.vector], first, stop)
            _add_vectors(vectors, roles, n_rows, file, sink)
        for batch in _batches(opened, roles.others, first, stop):
            sink.batches.append(_table(batch))
    sink.end()


def rows_of_parquet(file: File) -> int:
    """Return how many rows a Parquet file announces; errors as of `read_parquet`."""
    import pyarrow as pa
    from pyarrow import parquet

    with _refusing_damage(file, "Parquet"), pa.OSFile(os.fsencode(file.path)) as data:
        return int(parquet.read_metadata(data).num_rows)


def read_arrow(file: File, wanted: Wanted, sink: Sink) -> None:
    """Add the rows of an Arrow file (Feather) or an Arrow stream to `sink`.

    Raises
    ------
    CorpusRefused
        As `read_parquet`.
    """
    import pyarrow as pa

    roles: Roles | None = None
    with _refusing_damage(file, "Arrow"):
        mapped = _mapped(file)
        source = pa.BufferReader(pa.py_buffer(mapped))
        is_stream = mapped[:4] == _STREAM_MAGIC
        if is_stream and mapped[-len(_STREAM_END) :] != _STREAM_END:
            # Arrow itself takes a stream that was cut off between two batches for a whole one.
            raise CorpusRefused(
                "corpus-truncated",
                "Expected the mark at the end of an Arrow stream, got none.",
                where=file.shown,
            )
        opened = pa.ipc.open_stream(source) if is_stream else pa.ipc.open_file(source)
        for n, batch in enumerate(opened if is_stream else _batches_of_file(opened)):
            if batch.num_rows == 0:
                continue
            # Nothing in it may lead Arrow out of its buffers.
            batch.validate(full=True)
            if roles is None:
                sink.demand_columns(file, opened.schema.names)
                roles = _roles(opened.schema, batch, wanted, file)
                sink.begin(file, opened.schema.names, roles)
            _add_vectors(_slices(batch, mapped), roles, 0, file, sink)
            if roles.others:
                sink.batches.append(_copied(batch.select(list(roles.others))))
            if is_stream:
                sink.advance(source.tell())
            else:
                sink.advance(file.size_bytes * (n + 1) // opened.num_record_batches)
    if roles is None:
        _pass_over(file, sink)
    else:
        sink.end()


@contextmanager
def _refusing_damage(file: File, kind: str) -> Iterator[None]:
    import pyarrow as pa

    with translated(file.shown):
        try:
            yield
        except KNeighborsError:
            raise
        except OSError as error:
            if error.errno:  # the system's; Arrow's own have no number
                raise
            raise _damaged(file, kind, error) from error
        except (pa.ArrowException, ValueError, KeyError, UnicodeDecodeError) as error:
            raise _damaged(file, kind, error) from error


def _damaged(file: File, kind: str, error: Exception) -> CorpusRefused:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return CorpusRefused(
        "corpus-damaged", f"Expected a whole {kind} file: {reason}", where=file.shown
    )


def _pass_over(file: File, sink: Sink) -> None:
    """Take note of a file without rows: writers leave such parts where there was nothing."""
    sink.begin(file)
    sink.end()


def _mapped(file: File) -> mmap:
    """Map a file. Whatever refers to the map keeps it, so that nobody has to close it."""
    with file.path.open("rb") as data:
        return mmap(data.fileno(), 0, access=ACCESS_READ)


def _batches_of_file(opened: Any) -> Iterator[pa.RecordBatch]:
    for n in range(opened.num_record_batches):
        yield opened.get_batch(n)


def _slices(batch: pa.RecordBatch, mapped: mmap) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, _BATCH_ROWS):
        yield batch.slice(start, _BATCH_ROWS)
        # What was read is in the matrix now; the pages of the file need not stay as well.
        mapped.madvise(MADV_DONTNEED)


def _copied(batch: pa.RecordBatch) -> pa.Table:
    """Return a batch that refers to no file: what happens to the file must not matter later."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def _batches(opened: Any, names: Sequence[str], first: int, stop: int) -> Iterator[pa.RecordBatch]:
    """Yield some columns of rows of a Parquet file; row groups without any are not read."""
    if not names:
        return
    groups, row = _groups_with(opened.metadata, first, stop)
    for batch in opened.iter_batches(_BATCH_ROWS, columns=list(names), row_groups=groups):
        start, end = max(first - row, 0), min(stop - row, batch.num_rows)
        if start < end:
            # A name may also be the beginning of others.
            yield batch.select(list(names)).slice(start, end - start)
        row += batch.num_rows
    if row < stop:
        raise ValueError(f"{stop} rows are announced, {row} are there.")


def _groups_with(metadata: Any, first: int, stop: int) -> tuple[list[int], int]:
    """Return the row groups that hold some rows, and the row that the first of them begins with."""
    groups: list[int] = []
    begin, row = 0, 0
    for group in range(metadata.num_row_groups):
        end = row + metadata.row_group(group).num_rows
        if row < stop and first < end:
            begin = begin if groups else row
            groups.append(group)
        row = end
    return groups, begin


def _sample(opened: Any, schema: pa.Schema) -> pa.RecordBatch | None:
    texts = [field.name for field in schema if is_text(field.type)]
    if not texts or len(set(schema.names)) < len(schema.names):
        return None
    sample = next(opened.iter_batches(_SAMPLE_ROWS, columns=texts), None)
    return None if sample is None else sample.select(texts)


def _add_vectors(
    batches: Iterator[pa.RecordBatch], roles: Roles, n_rows: int, file: File, sink: Sink
) -> None:
    """Add batches that hold the vectors; `n_rows` of them come, if it is known."""
    for batch in batches:
        width = sink.n_features if sink.row else None
        vectors = vectors_of(batch, roles, width, file.shown, sink.row)
        if sink.row == 0 and n_rows:
            sink.expect(n_rows, vectors.shape[1])
        sink.add(vectors)
        if n_rows:
            sink.advance(file.size_bytes * sink.row // n_rows)


def _add_dimensions(
    opened: Any, roles: Roles, rows: tuple[int, int], file: File, sink: Sink
) -> None:
    """Add dimensions of one column each, a few at a time: each holds a page in memory."""
    types = numpy_types(opened.schema_arrow, roles.dimensions, file.shown)
    n_columns = len(roles.dimensions)
    view = sink.room(rows[1] - rows[0], n_columns, np.result_type(*set(types)))
    for first in range(0, n_columns, _COLUMNS_AT_ONCE):
        names = roles.dimensions[first : first + _COLUMNS_AT_ONCE]
        start = 0
        for batch in _batches(opened, names, *rows):
            vectors = vectors_of(batch, Roles(None, names, ()), None, file.shown, start)
            stop = start + batch.num_rows
            sink.fill(view[start:stop, first : first + len(names)], vectors)
            start = stop
        sink.advance(file.size_bytes * (first + len(names)) // n_columns)


def _table(batch: pa.RecordBatch) -> pa.Table:
    """Return a batch as a table."""
    import pyarrow as pa

    return pa.Table.from_batches([batch])


def _roles(schema: pa.Schema, sample: pa.RecordBatch | None, wanted: Wanted, file: File) -> Roles:
    texts = {} if sample is None else dict(zip(sample.schema.names, sample.columns, strict=True))
    columns = [Column(field.name, _kind(field.type, texts.get(field.name))) for field in schema]
    return choose(columns, wanted, file.shown)


def _kind(kind: pa.DataType, sample: pa.Array | None) -> Kind:
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.FixedShapeTensorType):
        return "floats" if types.is_floating(kind.value_type) else "integers"
    if types.is_floating(kind) or types.is_integer(kind):
        return "number"
    if is_list(kind):
        if types.is_floating(kind.value_type):
            return "floats"
        return "integers" if types.is_integer(kind.value_type) else "other"
    if is_text(kind) and sample is not None:
        texts = sample.slice(0, _SAMPLE_ROWS).to_pylist()
        first = next((text for text in texts if text is not None), "")
        return "text vector" if looks_like_vector(first) else "other"
    return "other"
