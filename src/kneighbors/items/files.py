"""Attribute tables in files: CSV and Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kneighbors.errors import ItemsRefused, StorageError
from kneighbors.items.quoting import quoted
from kneighbors.items.textual import narrowed

if TYPE_CHECKING:
    import pyarrow as pa


def read_table(path: str) -> pa.Table:
    """Return the table in a file.

    Raises
    ------
    ItemsRefused
        ``items-file`` when the name ends otherwise or the content cannot be read.
    StorageError
        ``storage-missing``, ``storage-forbidden`` or ``storage-failed``.
    """
    import pyarrow as pa

    read = _READERS.get(Path(path).suffix.lower())
    if read is None:
        raise ItemsRefused(
            "items-file",
            f"Expected a name that ends in {', '.join(_READERS)}, got {quoted(Path(path).name)}.",
            where=path,
        )
    try:
        return read(path)
    except FileNotFoundError as error:
        raise StorageError("storage-missing", "Expected a file.", where=path) from error
    except PermissionError as error:
        raise StorageError("storage-forbidden", "Expected a readable file.", where=path) from error
    except (pa.ArrowException, UnicodeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")[:300]
        raise ItemsRefused(
            "items-file",
            f"Expected a table, got a file that cannot be read ({reason}).",
            where=path,
        ) from error
    except OSError as error:
        raise StorageError(
            "storage-failed", f"Expected a readable file ({error.strerror or error}).", where=path
        ) from error


def _read_parquet(path: str) -> pa.Table:
    from pyarrow import parquet

    with Path(path).open("rb") as file:
        return parquet.ParquetFile(file).read()


def _read_csv(path: str) -> pa.Table:
    """Read every column as text, and then those as numbers that lose nothing by it.

    Arrow's own guess reads ``007`` as 7. An id or a postal code must not change on the way in.
    """
    import pyarrow as pa
    from pyarrow import csv

    parse_options = csv.ParseOptions(newlines_in_values=True)
    with Path(path).open("rb") as file:
        names = csv.open_csv(file, parse_options=parse_options).schema.names
    with Path(path).open("rb") as file:
        text = csv.read_csv(
            file,
            parse_options=parse_options,
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=False,
            ),
        )
    return pa.table([narrowed(column) for column in text.columns], names=text.column_names)


_READERS = {".csv": _read_csv, ".parquet": _read_parquet, ".pq": _read_parquet}
