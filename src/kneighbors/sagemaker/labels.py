"""The ids and attributes of a training run: from the corpus's own columns, or from other files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.errors import ItemsRefused, ParameterRefused
from kneighbors.items import Catalog
from kneighbors.items.tables import table_from, unknown_column
from kneighbors.sagemaker.settings import TrainingSettings
from kneighbors.storage import translated

if TYPE_CHECKING:
    import pyarrow as pa

    from kneighbors.corpus import Corpus

# Leading zeros and signs would be lost, so such lines stay text.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


def check_label_options(settings: TrainingSettings) -> None:
    """Refuse options that name the ids twice.

    Raises
    ------
    ParameterRefused
        With code ``parameter-conflict``.
    """
    if settings.ids is not None and settings.id_column is not None:
        raise ParameterRefused(
            "parameter-conflict",
            f"Expected either ids or id_column, got {settings.ids!r} and {settings.id_column!r}.",
        )


def catalog_of(
    settings: TrainingSettings, corpus: Corpus, rows: slice | None = None, n_samples: int = 0
) -> Catalog:
    """Return the catalogue of a corpus that was read with the settings.

    Parameters
    ----------
    settings : TrainingSettings
        `ids`, `id_column`, `columns` and `items` are used.
    corpus : Corpus
        Its own ids and columns are used where no file replaces them; columns of both are joined.
    rows : slice, optional
        Which rows of the whole these are; files of ids and attributes have all `n_samples`.
    n_samples : int
        How many rows there are, if `rows` are some of them.

    Raises
    ------
    ItemsRefused
        If ids or attributes break a rule, or a column is in the corpus and in the file.
    StorageError
        If a file cannot be opened.
    """
    ids = corpus.ids
    if settings.ids is not None:
        ids = _part(read_ids(settings.ids), rows, n_samples, settings.ids)
    table = _chosen(corpus.items, settings.columns)
    if settings.items is not None:
        added = _part(table_from(settings.items), rows, n_samples, settings.items)
        table = _joined(table, added, settings.items)
    if ids is None and settings.id_column is not None:
        if table is None or settings.id_column not in table.column_names:
            raise unknown_column(settings.id_column, [] if table is None else table.column_names)
        ids = settings.id_column
    return Catalog.from_data(corpus.X.shape[0], ids, table)


def _part(labels: Any, rows: slice | None, n_samples: int, path: str) -> Any:
    """Return the labels of some rows; all, if there are no others."""
    if rows is None:
        return labels
    if len(labels) != n_samples:
        raise ItemsRefused(
            "items-count",
            f"Expected {n_samples} rows, one for each vector, got {len(labels)}.",
            where=path,
        )
    return labels[rows]


def _chosen(table: pa.Table | None, columns: tuple[str, ...] | None) -> pa.Table | None:
    """Return the columns of the corpus that are to be kept."""
    if columns is None:
        return table
    known = [] if table is None else table.column_names
    for name in columns:
        if name not in known:
            raise unknown_column(name, known)
    return table.select(columns) if table is not None and columns else None


def read_ids(path: str) -> Any:
    """Return the ids in a file, in the order of the rows.

    Parameters
    ----------
    path : str
        A one-dimensional ``.npy`` of integers or text, a ``.csv`` or ``.parquet`` file of one
        column, or ``.txt`` with one id a line. A ``.txt`` whose every line is an integer without
        leading zeros gives integers.

    Raises
    ------
    ItemsRefused
        With code ``ids-file`` if it is none of these.
    StorageError
        If it cannot be opened.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        return _from_npy(path)
    if suffix == ".txt":
        return _from_lines(path)
    if suffix in (".csv", ".parquet", ".pq"):
        table = table_from(path)
        if table.num_columns != 1:
            raise _refused(f"Expected one column of ids, got {table.num_columns}.", path)
        return table.column(0)
    raise _refused("Expected a name that ends in .npy, .txt, .csv or .parquet.", path)


def _from_npy(path: str) -> Any:
    with translated(path), Path(path).open("rb") as file:
        try:
            ids = np.lib.format.read_array(file, allow_pickle=False)
        except Exception as error:
            # A header is a Python literal to numpy, and fails in a dozen ways.
            raise _refused(
                f"Expected an array that numpy reads without pickle: {error}.", path
            ) from error
    return ids


def _from_lines(path: str) -> list[Any]:
    with translated(path):
        body = Path(path).read_bytes()
    try:
        lines = body.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise _refused(
            f"Expected text in UTF-8: {error.reason} at byte {error.start}.", path
        ) from error
    if all(_INTEGER.fullmatch(line) for line in lines):
        return [int(line) for line in lines]
    return lines


def _refused(message: str, path: str) -> ItemsRefused:
    return ItemsRefused("ids-file", message, where=path)


def _joined(own: pa.Table | None, added: pa.Table, path: str) -> pa.Table:
    if own is None:
        return added
    doubled = sorted(set(own.column_names) & set(added.column_names))
    if doubled:
        raise ItemsRefused(
            "items-column",
            f"Expected every column once, got {doubled[0]!r} in the corpus as well.",
            where=path,
            hint="Choose the corpus's columns by --columns, or rename one.",
        )
    if own.num_rows != added.num_rows:
        raise ItemsRefused(
            "items-count",
            f"Expected {own.num_rows} rows of attributes, one for each vector, "
            f"got {added.num_rows}.",
            where=path,
        )
    for name, column in zip(added.column_names, added.columns, strict=True):
        own = own.append_column(name, column)
    return own
