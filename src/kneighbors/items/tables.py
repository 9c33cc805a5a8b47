"""The gate for attributes: whatever holds them, out comes a checked Arrow table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from kneighbors.errors import ItemsRefused
from kneighbors.items.quoting import names_listed, quoted

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST_NAME_BYTES = 1024


def check_table(n_samples: int, table: pa.Table) -> pa.Table:
    """Return a table of which every column can be an attribute of the rows.

    Dictionary encoding is kept. Metadata is left away, for it is whatever made the table talking to
    itself.

    Raises
    ------
    ItemsRefused
        ``items-count`` when the rows are not ``n_samples``; ``items-column`` when a name is empty,
        doubled or no text; ``items-type`` when a column is nested or of a type without a form in
        JSON.
    """
    import pyarrow as pa

    from kneighbors.items.values import is_supported

    if not isinstance(table, pa.Table):
        raise ItemsRefused("items-type", f"Expected a table, got {quoted(table)}.")
    if table.num_rows != n_samples:
        raise ItemsRefused(
            "items-count",
            f"Expected {n_samples} rows of attributes, one for each row of X, "
            f"got {table.num_rows}.",
        )
    check_names(table.column_names)
    columns = [_without_views(column) for column in table.columns]
    for name, column in zip(table.column_names, columns, strict=True):
        if not is_supported(column.type):
            raise ItemsRefused(
                "items-type",
                "Expected text, numbers, booleans, dates, times or lists of text, "
                f"got a column of {column.type}.",
                where=f"column {quoted(name)}",
                hint="Turn it into one of these, or leave it out.",
            )
    return pa.Table.from_arrays(columns, schema=_bare_schema(table.column_names, columns))


def table_from(items: Any) -> pa.Table:
    """Return the attributes of any container as an Arrow table.

    Parameters
    ----------
    items : Arrow table or batch, pandas or polars DataFrame, mapping of columns, or path
        A path ends in ``.csv``, ``.parquet`` or ``.pq``. A named index of a pandas frame becomes
        columns. Anything with ``__arrow_c_stream__`` is read through it.

    Raises
    ------
    ItemsRefused
        ``items-type`` or ``items-column`` naming the column, ``items-file`` naming the file.
    StorageError
        When the file cannot be opened.
    """
    import pyarrow as pa

    if isinstance(items, pa.Table):
        return items
    if isinstance(items, pa.RecordBatch):
        return pa.Table.from_batches([items])
    if isinstance(items, (str, PathLike)):
        from kneighbors.items.files import read_table

        return read_table(fspath(items))
    if isinstance(items, Mapping):
        return _from_columns(items.keys(), items.values())
    if type(items).__module__.partition(".")[0] == "pandas" and hasattr(items, "columns"):
        return _from_pandas(items)
    if hasattr(items, "__arrow_c_stream__"):
        return _from_stream(items)
    raise ItemsRefused(
        "items-type",
        "Expected an Arrow table, a pandas or polars DataFrame, a mapping of columns or a path, "
        f"got {quoted(items)}.",
    )


def unknown_column(name: object, known: Sequence[str]) -> ItemsRefused:
    """Return the refusal of a column that is not in the table."""
    close = get_close_matches(name[:64], known, n=1) if isinstance(name, str) else []
    mean = f"Did you mean {quoted(close[0])}? " if close else ""
    columns = f"The columns are {names_listed(known)}." if known else "There are no columns."
    return ItemsRefused(
        "items-column-unknown",
        f"Expected a column of the items, got {quoted(name)}.",
        hint=mean + columns,
    )


def check_names(names: Sequence[object]) -> None:
    """Refuse names of columns that cannot be keys of an answer."""
    seen = set()
    for name in names:
        problem = None
        if not isinstance(name, str):
            problem = "Expected names of columns that are text"
        elif not name or not _is_short_unicode(name):
            problem = f"Expected names of 1 to {_LONGEST_NAME_BYTES:,} bytes of valid Unicode"
        elif name in seen:
            problem = "Expected every name of a column once"
        if problem:
            raise ItemsRefused(
                "items-column", f"{problem}, got {quoted(name)}.", hint="Rename the column."
            )
        seen.add(name)


def _is_short_unicode(name: str) -> bool:
    try:
        return len(name) <= _LONGEST_NAME_BYTES and len(name.encode()) <= _LONGEST_NAME_BYTES
    except UnicodeEncodeError:
        return False


def _from_columns(names: Iterable[Any], columns: Iterable[Any]) -> pa.Table:
    import pyarrow as pa

    names = list(names)
    check_names(names)
    arrays = [_array(name, column) for name, column in zip(names, columns, strict=True)]
    lengths = sorted({len(array) for array in arrays})
    if len(lengths) > 1:
        raise ItemsRefused(
            "items-count",
            f"Expected columns of one length, got from {lengths[0]} to {lengths[-1]} rows.",
        )
    return pa.table(arrays, names=names)


def _array(name: str, column: Any) -> pa.Array | pa.ChunkedArray:
    import pyarrow as pa

    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        return column
    try:
        if hasattr(column, "to_arrow"):
            return column.to_arrow()
        if hasattr(column, "__arrow_c_stream__"):
            return pa.chunked_array(column)
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        reason = str(error).strip().rstrip(".")[:200]
        raise ItemsRefused(
            "items-type",
            f"Expected values of one kind, got a column that Arrow cannot hold ({reason}).",
            where=f"column {quoted(name)}",
        ) from error


def _from_pandas(frame: Any) -> pa.Table:
    # RangeIndex and others without a name are only positions; a name says that it is data.
    levels = [name for name in frame.index.names if name is not None]
    names = [*levels, *frame.columns]
    columns = [frame.index.get_level_values(name) for name in levels]
    columns += [frame.iloc[:, place] for place in range(frame.shape[1])]
    return _from_columns(names, columns)


def _from_stream(items: Any) -> pa.Table:
    import pyarrow as pa

    try:
        # polars gives old-fashioned text here, which every version of pyarrow can cast.
        table = items.to_arrow() if hasattr(items, "to_arrow") else pa.table(items)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ItemsRefused("items-type", f"Expected a table, got {quoted(items)}.") from error
    if not isinstance(table, pa.Table):
        raise ItemsRefused("items-type", f"Expected a table, got {quoted(items)}.")
    return table


def _bare_schema(names: Sequence[str], columns: Sequence[pa.ChunkedArray]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, column.type) for name, column in zip(names, columns, strict=True)])


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without the newer layout of text, which older readers do not know."""
    import pyarrow as pa

    target = _viewless(column.type)
    if target == column.type:
        return column
    try:
        return column.cast(target)
    except pa.ArrowNotImplementedError:
        # pyarrow 17 knows the layout, but cannot cast from it.
        return pa.chunked_array([_rebuilt(chunk, target) for chunk in column.chunks], target)


def _rebuilt(chunk: pa.Array, target: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if not pa.types.is_dictionary(target):
        return pa.array(chunk.to_pylist(), target)
    words = pa.array(chunk.dictionary.to_pylist(), target.value_type)
    return pa.DictionaryArray.from_arrays(chunk.indices, words, ordered=target.ordered)


def _viewless(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if not hasattr(pa, "string_view"):
        return kind
    view, text = pa.string_view(), pa.large_string()
    if kind == view:
        return text
    if pa.types.is_dictionary(kind) and kind.value_type == view:
        return pa.dictionary(kind.index_type, text, kind.ordered)
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and kind.value_type == view:
        return pa.large_list(text)
    return kind
