"""The vectors of a batch of Arrow, from whichever columns they are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from kneighbors.corpus.numerals import Fault
from kneighbors.corpus.roles import Roles
from kneighbors.corpus.text_vectors import parse_cell, parse_column
from kneighbors.errors import CorpusRefused

if TYPE_CHECKING:
    import pyarrow as pa


def vectors_of(
    batch: pa.RecordBatch, roles: Roles, width: int | None, where: str, first_row: int
) -> NDArray[Any]:
    """Return the vectors of a batch.

    Parameters
    ----------
    batch : RecordBatch of n rows
        At least one.
    roles : Roles
        Which columns to take.
    width : int or None
        The dimension that earlier rows of the file have.
    where : str
        The file, for messages.
    first_row : int
        Number of the first row in the file, counted from 0.

    Returns
    -------
    ndarray of shape (n, width)
        Of the type of the file, or of the widest type among its columns.

    Raises
    ------
    CorpusRefused
        With code ``corpus-null``, ``corpus-dtype``, ``corpus-shape``, ``corpus-ragged`` or a code
        of text vectors, and the row.
    """
    if roles.vector is None:
        return _of_columns(batch, roles.dimensions, where, first_row)
    column = batch.column(roles.vector)
    where = f"{where}, column {roles.vector!a}"
    _demand_no_nulls(column, where, first_row)
    return _of_column(column, width, where, first_row)


def numpy_types(schema: pa.Schema, names: Sequence[str], where: str) -> list[np.dtype[Any]]:
    """Return the types of columns of numbers.

    Raises
    ------
    CorpusRefused
        With code ``corpus-dtype`` if a column has none.
    """
    types = []
    for name in names:
        kind = schema.field(name).type
        _demand_numbers(kind, f"{where}, column {name!a}")
        types.append(np.dtype(kind.to_pandas_dtype()))
    return types


def _of_columns(
    batch: pa.RecordBatch, names: tuple[str, ...], where: str, first_row: int
) -> NDArray[Any]:
    arrays = []
    for name in names:
        column = batch.column(name)
        place = f"{where}, column {name!a}"
        _demand_no_nulls(column, place, first_row)
        _demand_numbers(column.type, place)
        arrays.append(column.to_numpy(zero_copy_only=False))
    # Wide integers do not fit into a float32, whatever the other columns are.
    types = {array.dtype for array in arrays}
    result = np.empty((batch.num_rows, len(names)), np.result_type(*types))
    for n, array in enumerate(arrays):
        result[:, n] = array
    return result


def _of_column(column: pa.Array, width: int | None, where: str, first_row: int) -> NDArray[Any]:
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.FixedShapeTensorType):
        if len(kind.shape) != 1:
            raise CorpusRefused(
                "corpus-shape", f"Expected one vector a row, got {kind.shape} numbers.", where=where
            )
        column, kind = column.storage, column.storage.type
    if is_text(kind):
        return _of_texts(column.cast(pa.string()), width, where, first_row)
    if not is_list(kind):
        _refuse_type(kind, where)
    _demand_numbers(kind.value_type, where)
    return _of_lists(column, width, where, first_row)


def _of_lists(column: pa.Array, width: int | None, where: str, first_row: int) -> NDArray[Any]:
    import pyarrow.compute as pc

    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    expected = int(lengths[0]) if width is None else width
    odd = np.flatnonzero(lengths != expected)
    if expected == 0 or len(odd):
        row = int(odd[0]) if len(odd) else 0
        raise CorpusRefused(
            "corpus-ragged",
            f"Expected vectors of {expected or 'at least one'} numbers, got one of {lengths[row]}.",
            where=f"{where}, row {first_row + row}",
        )
    values = column.flatten()
    if values.null_count:
        missing = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        _refuse_null(where, first_row + missing // expected, f", number {missing % expected + 1}")
    numbers: NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(len(column), expected)
    return numbers


def _of_texts(
    column: pa.StringArray, width: int | None, where: str, first_row: int
) -> NDArray[np.float64]:
    vectors = parse_column(column, width)
    if vectors is not None:
        return vectors
    rows: list[list[float]] = []
    for n, text in enumerate(column.to_pylist()):
        found = parse_cell(text, width)
        if isinstance(found, Fault):
            raise found.at(f"{where}, row {first_row + n}")
        width = len(found)
        rows.append(found)
    return np.array(rows, np.float64)


def _demand_no_nulls(column: pa.Array, where: str, first_row: int) -> None:
    if column.null_count:
        missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0]
        _refuse_null(where, first_row + int(missing))


def _refuse_null(where: str, row: int, number: str = "") -> NoReturn:
    raise CorpusRefused(
        "corpus-null",
        "Expected numbers in every vector, got null.",
        where=f"{where}, row {row}{number}",
        hint="Remove the row.",
    )


def _demand_numbers(kind: pa.DataType, where: str) -> None:
    import pyarrow as pa

    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        _refuse_type(kind, where)


def _refuse_type(kind: pa.DataType, where: str) -> NoReturn:
    raise CorpusRefused(
        "corpus-dtype",
        f"Expected floats or integers, as lists or one a column, got the type {kind}.",
        where=where,
        hint="Cast it before the file is written.",
    )


def is_list(kind: pa.DataType) -> bool:
    """Tell whether a type holds lists."""
    import pyarrow as pa

    tests = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    return any(getattr(pa.types, test)(kind) for test in tests)


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a type holds texts."""
    import pyarrow as pa

    tests = ("is_string", "is_large_string", "is_string_view")
    return any(getattr(pa.types, test)(kind) for test in tests)
