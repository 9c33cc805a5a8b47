"""``.npy`` as a corpus: mapped where it lies if it can be, copied into the result if not."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

import numpy as np

from kneighbors.corpus.npy_header import Header, check_length, check_matrix, read_header
from kneighbors.corpus.roles import Wanted
from kneighbors.corpus.sink import File, Sink
from kneighbors.errors import CorpusRefused
from kneighbors.search.rows import FloatArray
from kneighbors.storage import translated

_STEP_BYTES = 8 << 20


def read_npy(file: File, wanted: Wanted, sink: Sink) -> None:
    """Add the rows of a ``.npy`` file to `sink`.

    Raises
    ------
    CorpusRefused
        With code ``corpus-truncated``, ``corpus-damaged``, ``corpus-dtype``, ``corpus-shape`` or
        ``corpus-empty``.
    """
    refuse_column_names(wanted, file.shown)
    with translated(file.shown), file.path.open("rb") as data:
        header = _checked(data, file)
        sink.begin(file)
        if file.rows is not None:
            header = _of_rows(header, file.rows, file.shown)
            data.seek(header.start)
        copy_matrix(data, header, file.shown, sink)
    sink.end()


def map_npy(file: File, dtype: np.dtype[np.floating] | None) -> FloatArray | None:
    """Return a ``.npy`` file as a read-only map, or None if its numbers need converting.

    Raises
    ------
    CorpusRefused
        As `read_npy`.
    """
    with translated(file.shown), file.path.open("rb") as data:
        header = _checked(data, file)
        fits = (
            not header.is_fortran
            and header.dtype.isnative
            and header.dtype in (np.dtype(np.float32), np.dtype(np.float64))
            and (dtype is None or dtype == header.dtype)
        )
        if not fits:
            return None
        return np.memmap(data, header.dtype, "r", header.start, header.shape)


def rows_of_npy(file: File) -> int:
    """Return how many rows a ``.npy`` file has; errors as of `read_npy`."""
    with translated(file.shown), file.path.open("rb") as data:
        return _checked(data, file).shape[0]


def copy_matrix(data: BinaryIO, header: Header, where: str, sink: Sink) -> None:
    """Copy a matrix that begins where `data` stands into `sink`, a few megabytes at a time."""
    n_rows, n_columns = header.shape
    view = sink.room(n_rows, n_columns, header.dtype)
    # What lies in a row of the file is a row of the matrix, or of its transpose.
    target = view.T if header.is_fortran else view
    length = target.shape[1]
    step = max(1, _STEP_BYTES // (length * header.dtype.itemsize))
    buffer = np.empty((min(step, len(target)), length), header.dtype)
    for start in range(0, len(target), step):
        part = buffer[: len(target) - start]
        _fill(data, part.data.cast("B"), where)
        sink.fill(target[start : start + step], part)
        sink.advance(header.start + start * length * header.dtype.itemsize)


def _of_rows(header: Header, rows: tuple[int, int], where: str) -> Header:
    """Return the header of a file that would have these rows alone."""
    if header.is_fortran:
        raise CorpusRefused(
            "corpus-order",
            "Expected rows one after another (C order), got columns: none can be read alone.",
            where=where,
            hint="Save it with numpy.save(path, numpy.ascontiguousarray(X)).",
        )
    first, stop = rows
    width = header.shape[1]
    start = header.start + first * width * header.dtype.itemsize
    return replace(header, start=start, shape=(stop - first, width))


def refuse_column_names(wanted: Wanted, where: str) -> None:
    """Refuse the names of columns for a file that has none.

    Raises
    ------
    CorpusRefused
        With code ``corpus-columns``.
    """
    if wanted != Wanted():
        raise CorpusRefused(
            "corpus-columns",
            "Expected a file with named columns for vector_column, id_column or columns, got an "
            "array.",
            where=where,
        )


def _checked(data: BinaryIO, file: File) -> Header:
    header = read_header(data, file.shown)
    check_matrix(header, file.shown)
    check_length(header, file.size_bytes, file.shown)
    return header


def _fill(data: BinaryIO, target: memoryview, where: str) -> None:
    done = 0
    while done < len(target):
        count = data.readinto(target[done:])  # type: ignore[attr-defined]
        if not count:
            raise CorpusRefused(
                "corpus-truncated",
                f"Expected {len(target) - done} more bytes, got the end of the file.",
                where=where,
            )
        done += count
