"""Which user chose which item, when, and how much of it: the lines of a file, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import InteractionsRefused, ParameterRefused
from kneighbors.evaluate.interaction_columns import codes_of, numbers_of, times_of
from kneighbors.items import Catalog
from kneighbors.items.quoting import names_listed, quoted, rows_named
from kneighbors.search.rows import RowArray

if TYPE_CHECKING:
    import pyarrow as pa

Float64Array = NDArray[np.float64]

#: What is done about items that the corpus does not hold.
UNKNOWN = ("refuse", "skip")
#: Unknown ids that a report names.
_NAMED = 5


@dataclass(frozen=True)
class Columns:
    """What the columns of a file of interactions are called.

    Parameters
    ----------
    user, item : str
        Needed.
    time, weight : str
        Used if they are there; one that was named otherwise than by default has to be.
    """

    user: str = "user"
    item: str = "item"
    time: str = "time"
    weight: str = "weight"


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who chose what; each pair of a user and an item occurs once.

    Attributes
    ----------
    users : ndarray of shape (n,), dtype int64
        Numbers of users, from 0 on.
    rows : ndarray of shape (n,), dtype int64
        Rows of the corpus.
    times : ndarray of shape (n,), dtype float64, or None
        Seconds since 1970, or whatever numbers the file has.
    weights : ndarray of shape (n,), dtype float64, or None
        Above zero.
    names : list of (str or int)
        Of the users, by number.
    n_lines : int
        Of the file.
    n_unknown : int
        Lines that were skipped because of an item that the corpus does not hold.
    unknown : list of (str or int)
        The first of these items.
    n_light : int
        Lines left out because of their weight.
    n_repeated : int
        Lines of a user and an item that an earlier one has too. The earliest time counts, and the
        largest weight.
    """

    users: NDArray[np.int64]
    rows: RowArray
    times: Float64Array | None
    weights: Float64Array | None
    names: list[str | int] = field(repr=False)
    n_lines: int
    n_unknown: int
    unknown: list[str | int]
    n_light: int
    n_repeated: int

    def __len__(self) -> int:
        return len(self.users)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-able values."""
        return {
            "lines": self.n_lines,
            "used": len(self),
            "users": len(self.names),
            "items": len(np.unique(self.rows)),
            "unknown": self.n_unknown,
            "unknown_ids": self.unknown,
            "light": self.n_light,
            "repeated": self.n_repeated,
        }


def read_interactions(
    source: Any,
    catalog: Catalog,
    *,
    columns: Columns | None = None,
    unknown: str = "refuse",
    min_weight: float | None = None,
) -> Interactions:
    """Read who chose what.

    Parameters
    ----------
    source : path, Arrow table, pandas or polars DataFrame, or mapping of columns
        A path leads to a ``.csv`` or ``.parquet`` file.
    catalog : Catalog
        Its ids are what the items are called by.
    columns : Columns, optional
        What the columns are called.
    unknown : {"refuse", "skip"}, default="refuse"
        What is done about items that the catalogue does not hold.
    min_weight : float, optional
        Lines of a smaller weight are left out: of ratings from 1 to 5, 4 keeps what was liked.
        Without it every weight has to be above zero.

    Returns
    -------
    Interactions

    Raises
    ------
    InteractionsRefused
        For a column that is missing or of another type, a missing value, a time that is none, an
        item that is unknown, or no line at all.
    ItemsRefused, StorageError
        For a file that cannot be read.
    ParameterRefused
        ``unknown-type``, or ``min-weight-needs-weights``.

    Notes
    -----
    O(n log n), and O(n_samples) to look the items up.

    Examples
    --------
    >>> catalog = Catalog(3, ids=["merlot", "syrah", "malbec"])
    >>> likes = {"user": ["ann", "ann", "bob"], "item": ["syrah", "malbec", "syrah"]}
    >>> read_interactions(likes, catalog).rows
    array([1, 2, 1])
    """
    from kneighbors.items.tables import table_from

    if unknown not in UNKNOWN:
        raise ParameterRefused(
            "parameter-type", f"Expected unknown to be 'refuse' or 'skip', got {quoted(unknown)}."
        )
    origin = Path(fspath(source)).name if isinstance(source, str | PathLike) else "the interactions"
    table = table_from(source)
    return _Reading(table, origin, columns or Columns()).read(catalog, unknown, min_weight)


class _Reading:
    """One table on its way to arrays.

    Parameters
    ----------
    table : pyarrow.Table
    origin : str
        What it is called in messages.
    columns : Columns
    """

    def __init__(self, table: pa.Table, origin: str, columns: Columns) -> None:
        self._table = table
        self._origin = origin
        self._names = columns

    def read(self, catalog: Catalog, unknown: str, min_weight: float | None) -> Interactions:
        user_column, item_column = self._needed(self._names.user), self._needed(self._names.item)
        if not self._table.num_rows:
            raise InteractionsRefused(
                "interactions-empty", "Expected one line or more, got none.", where=self._origin
            )
        users, names = codes_of(user_column, self._where(self._names.user))
        items, ids = codes_of(item_column, self._where(self._names.item))
        time_column = self._optional(self._names.time, Columns.time)
        times = (
            None if time_column is None else times_of(time_column, self._where(self._names.time))
        )
        weights = self._weights(min_weight)

        row_of_item = _rows_of(catalog, ids, self._where(self._names.item))
        rows = row_of_item[items]
        is_known = rows >= 0
        strangers = [ids[place] for place in np.flatnonzero(row_of_item < 0)[:_NAMED].tolist()]
        if strangers and unknown == "refuse":
            raise self._unknown(np.flatnonzero(~is_known), int((row_of_item < 0).sum()), strangers)
        is_light = np.zeros(len(rows), np.bool_)
        if weights is not None and min_weight is not None:
            is_light = is_known & (weights < min_weight)
        kept = _first_of_each(users, rows, times, is_known & ~is_light)
        if weights is not None:
            weights = _largest_of_each(users, rows, weights, is_known & ~is_light, kept)
        # Users of whom nothing is left are no users.
        numbers, users = np.unique(users[kept], return_inverse=True)
        return Interactions(
            users=users.astype(np.int64),
            rows=rows[kept],
            times=None if times is None else times[kept],
            weights=weights,
            names=[names[number] for number in numbers.tolist()],
            n_lines=len(rows),
            n_unknown=int((~is_known).sum()),
            unknown=strangers,
            n_light=int(is_light.sum()),
            n_repeated=int((is_known & ~is_light).sum()) - len(kept),
        )

    def _where(self, column: str) -> str:
        return f"{self._origin}, column {quoted(column)}"

    def _needed(self, name: str) -> pa.ChunkedArray:
        if name not in self._table.column_names:
            raise InteractionsRefused(
                "interactions-column",
                f"Expected a column {quoted(name)}, got {names_listed(self._table.column_names)}.",
                where=self._origin,
                hint="Name the columns of users, items, times and weights as they are called.",
            )
        return self._table[name]

    def _optional(self, name: str, usual: str) -> pa.ChunkedArray | None:
        if name == usual and name not in self._table.column_names:
            return None
        return self._needed(name)

    def _weights(self, min_weight: float | None) -> Float64Array | None:
        column = self._optional(self._names.weight, Columns.weight)
        if column is None:
            if min_weight is not None:
                raise ParameterRefused(
                    "min-weight-needs-weights",
                    f"Expected weights to hold against min_weight, got no column "
                    f"{quoted(self._names.weight)}.",
                    where=self._origin,
                )
            return None
        weights = numbers_of(column, self._where(self._names.weight))
        (wrong,) = np.nonzero(weights <= 0)
        if wrong.size and (min_weight is None or min_weight <= 0):
            raise InteractionsRefused(
                "interactions-weight",
                f"Expected weights above zero, got {weights[wrong[0]]:g}.",
                where=f"{self._where(self._names.weight)}, {rows_named(wrong.tolist())}",
                hint="Give a least weight, to leave out what was not liked.",
            )
        return weights

    def _unknown(
        self, lines: NDArray[np.intp], count: int, first: list[str | int]
    ) -> InteractionsRefused:
        shown = ", ".join(map(quoted, first))
        more = f" and {count - len(first)} more" if count > len(first) else ""
        return InteractionsRefused(
            "interactions-item-unknown",
            f"Expected items of the corpus, got {shown}{more} in {len(lines)} "
            f"of {self._table.num_rows} lines.",
            where=f"{self._where(self._names.item)}, {rows_named(lines.tolist())}",
            hint="Ask for unknown items to be skipped, if that is to be.",
        )


def _rows_of(catalog: Catalog, ids: list[str | int], where: str) -> RowArray:
    """Return the row of each id, -1 for one that there is not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.array(catalog.ids_of(np.arange(catalog.n_samples)))
    wanted = pa.array(ids)
    if pa.types.is_integer(wanted.type) and pa.types.is_string(known.type):
        # In a CSV file nothing says that 7 is the name of something.
        wanted = wanted.cast(pa.string())
    elif pa.types.is_string(wanted.type) and pa.types.is_integer(known.type):
        raise InteractionsRefused(
            "interactions-item-type",
            f"Expected integers, as the ids of the corpus are, got {quoted(ids[0])}.",
            where=where,
        )
    found = pc.index_in(wanted, value_set=known).fill_null(-1)
    rows: RowArray = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return rows


def _first_of_each(
    users: NDArray[np.int64],
    rows: RowArray,
    times: Float64Array | None,
    usable: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Return the earliest line of each pair of user and item, in the order of the file."""
    lines = np.flatnonzero(usable)
    when = np.zeros(len(lines)) if times is None else times[lines]
    order = lines[np.lexsort((lines, when, rows[lines], users[lines]))]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (np.diff(users[order]) != 0) | (np.diff(rows[order]) != 0)
    return np.sort(order[is_first])


def _largest_of_each(
    users: NDArray[np.int64],
    rows: RowArray,
    weights: Float64Array,
    usable: NDArray[np.bool_],
    kept: NDArray[np.intp],
) -> Float64Array:
    """Return the largest weight that each kept pair has anywhere."""
    lines = np.flatnonzero(usable)
    keys = users * (int(rows.max()) + 1) + rows
    unique, group = np.unique(keys[lines], return_inverse=True)
    largest = np.full(len(unique), -np.inf)
    np.maximum.at(largest, group, weights[lines])
    return largest[np.searchsorted(unique, keys[kept])]
