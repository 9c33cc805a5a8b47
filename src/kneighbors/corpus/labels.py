"""What is left when the vectors are taken: ids, attributes, and indexes that pandas wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.corpus.roles import Wanted, is_index_name
from kneighbors.errors import CorpusRefused
from kneighbors.items.ids import check_ids
from kneighbors.items.textual import narrowed

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns that are ids without anybody saying so, if they can be.
ID_NAMES = ("id", "ids")
#: What a column is called that has no name, and is data all the same.
_INDEX = "index"


def labels_of(
    batches: Sequence[pa.Table], rows_of_files: Sequence[int], wanted: Wanted, is_text: bool
) -> tuple[pa.Array | None, pa.Table | None]:
    """Return the ids and the attributes of all rows.

    Parameters
    ----------
    batches : sequence of Table
        The columns that are not the vector, in the order of the rows.
    rows_of_files : sequence of int
        How many rows each file has.
    wanted : Wanted
        What the caller asked for.
    is_text : bool
        Whether the columns come from CSV and their types are to be found.

    Returns
    -------
    ids : Array of length n_samples, or None
        The column that was asked for; else ``id`` or ``ids`` if it holds texts or integers, each
        of them once and none missing; else an index of pandas that is more than row numbers.
    items : Table with n_samples rows, or None
        The rest. An index of pandas that only numbers the rows is left out.

    Raises
    ------
    ItemsRefused
        With code ``ids-doubled``, ``ids-null``, ``ids-type`` or ``ids-text`` if the column that was
        asked for cannot be ids.
    CorpusRefused
        With code ``corpus-schema`` if a column has types in two files that do not go together.
    """
    if not batches:
        return None, None
    table = _joined(batches)
    if is_text:
        # An id that was asked for by name is an integer or a text, never a fraction.
        columns = [narrowed(column) for column in table.columns]
        table = _table(columns, table.column_names)
    name = _id_name(table, rows_of_files, wanted)
    kept = [
        other
        for other in table.column_names
        if other != name and not _says_nothing(other, table.column(other), rows_of_files)
    ]
    ids = None if name is None else _one_array(table.column(name))
    if not kept:
        return ids, None
    renamed = [other or _INDEX if _INDEX not in kept else other for other in kept]
    return ids, table.select(kept).rename_columns(renamed)


def _joined(batches: Sequence[pa.Table]) -> pa.Table:
    import pyarrow as pa

    order = batches[0].column_names
    # Order and metadata may differ from file to file; names were compared already.
    same_order = [batch.select(order).replace_schema_metadata(None) for batch in batches]
    try:
        return pa.concat_tables(same_order, promote_options="permissive")
    except pa.ArrowException as error:
        raise CorpusRefused(
            "corpus-schema",
            f"Expected columns of types that go together in all files: {error}.",
            where=f"columns {', '.join(map(ascii, order[:5]))}",
        ) from error


def _id_name(table: pa.Table, rows_of_files: Sequence[int], wanted: Wanted) -> str | None:
    if wanted.id_column is not None:
        check_ids(table.num_rows, table.column(wanted.id_column))
        return wanted.id_column
    for name in ID_NAMES:
        if name in table.column_names and _could_be_ids(table.column(name)):
            return name
    names: list[str] = table.column_names
    for name in names:
        column = table.column(name)
        if (
            is_index_name(name)
            and not _is_numbering(column, rows_of_files)
            and _could_be_ids(column)
        ):
            return name
    return None


def _could_be_ids(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    types = pa.types
    fits = types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)
    if not fits or column.null_count:
        return False
    if types.is_dictionary(column.type):
        column = column.cast(kind)
    return bool(pc.count_distinct(column).as_py() == len(column))


def _says_nothing(name: str, column: pa.ChunkedArray, rows_of_files: Sequence[int]) -> bool:
    """Tell whether a column without a name of its own only numbers the rows, or is empty."""
    if not is_index_name(name):
        return False
    return column.null_count == len(column) or _is_numbering(column, rows_of_files)


def _is_numbering(column: pa.ChunkedArray, rows_of_files: Sequence[int]) -> bool:
    """Tell whether a column counts the rows from 0, once for all files or anew in each."""
    import pyarrow as pa

    if not pa.types.is_integer(column.type) or column.null_count:
        return False
    values = column.to_numpy()
    anew = np.concatenate([np.arange(rows) for rows in rows_of_files])
    return np.array_equal(values, np.arange(len(values))) or np.array_equal(values, anew)


def _one_array(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type):
        # 2 GiB of text are too much for one array of this type.
        column = column.cast(pa.large_string()) if column.nbytes >= 2**31 else column
    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def _table(columns: Sequence[pa.ChunkedArray], names: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    return pa.table(list(columns), names=list(names))
