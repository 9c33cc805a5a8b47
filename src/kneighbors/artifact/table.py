"""The attribute table as a file: Arrow IPC, not compressed, so that workers share one map."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from kneighbors.artifact.partfile import PartFile
from kneighbors.errors import ArtifactError, ItemsRefused

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of a record batch. All rows of a small table lie together; a large one is written without
#: being joined in memory first.
ROWS_OF_BATCH = 1 << 18


class _Sink(io.RawIOBase):
    """A part file as Arrow wants it."""

    def __init__(self, file: PartFile) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)


def write_table(file: PartFile, table: pa.Table) -> None:
    """Write a table; dictionary encoding is kept, with one dictionary a column.

    Raises
    ------
    OSError
        From the file.
    """
    import pyarrow as pa

    table = table.unify_dictionaries()
    # Old enough for every reader: views and compression came later.
    options = pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V5, use_threads=False)
    with pa.ipc.new_file(_Sink(file), table.schema, options=options) as writer:
        for start in range(0, table.num_rows, ROWS_OF_BATCH):
            piece = table.slice(start, ROWS_OF_BATCH).combine_chunks()
            for batch in piece.to_batches():
                writer.write_batch(batch)


def read_table(data: memoryview, shape: tuple[int, ...], where: str) -> pa.Table:
    """Return a table in place, having checked that no value points outside the file.

    Parameters
    ----------
    data : memoryview
        The whole file, mapped or in memory.
    shape : tuple of int
        Rows and columns that the manifest tells.
    where : str
        Path of the file, for messages.

    Raises
    ------
    ArtifactError
        ``artifact-invalid`` when it is no such table.

    Notes
    -----
    Takes about 60 ms a million values of text, once for each process.
    """
    import pyarrow as pa

    from kneighbors.items.tables import check_table

    try:
        source = pa.py_buffer(data)
        table = pa.ipc.open_file(pa.BufferReader(source)).read_all()
        table.validate(full=True)
        if (table.num_rows, table.num_columns) != shape:
            raise ArtifactError(
                "artifact-invalid",
                f"Expected {shape[0]} rows and {shape[1]} columns, "
                f"got {table.num_rows} and {table.num_columns}.",
                where=where,
            )
        _refuse_foreign_buffers(table, source, where)
        return check_table(shape[0], table)
    except (pa.ArrowException, ItemsRefused, OSError, ValueError, TypeError) as error:
        if isinstance(error, ArtifactError):
            raise
        reason = str(error).strip().partition("\n")[0][:200].rstrip(".")
        raise ArtifactError(
            "artifact-invalid", f"Expected a table of items, got none ({reason}).", where=where
        ) from error


def _refuse_foreign_buffers(table: pa.Table, source: pa.Buffer, where: str) -> None:
    """Refuse values that were unpacked on the way: a compressed table may be larger than memory."""
    first, last = source.address, source.address + source.size
    for column in table.columns:
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                if buffer and buffer.size and not first <= buffer.address < last:
                    raise ArtifactError(
                        "artifact-invalid",
                        "Expected a table that is not compressed, got one that is.",
                        where=where,
                    )
