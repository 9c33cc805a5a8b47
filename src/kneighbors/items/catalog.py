"""The catalogue of a corpus: which id and which attributes belong to each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ItemsRefused
from kneighbors.items.batches import Batches
from kneighbors.items.bitmaps import Bitmaps
from kneighbors.items.browsing import Browsable
from kneighbors.items.ids import Ids, check_ids, ids_from_parts
from kneighbors.items.quoting import quoted
from kneighbors.search.rows import RowArray

if TYPE_CHECKING:
    import pyarrow as pa

    from kneighbors.items.kinds import Kind


class Catalog(Browsable):
    """What the rows of a corpus are: an id for each, and a table of attributes.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    ids : sequence of str or of int, ndarray, Arrow array or Series, optional
        One for each row, unique: text of 1 to 1,024 bytes in UTF-8, or 64-bit integers. Without
        them the row numbers are the ids.
    table : pyarrow.Table, optional
        Attributes, ``n_samples`` rows.

    Raises
    ------
    ItemsRefused
        When ids or table break a rule; the message names the first rows or the column.

    Notes
    -----
    Ids are looked up in constant time, through tables that can be memory-mapped; no Python object
    is kept for a row. A catalogue does not change after it was made and may be used by threads;
    `bitmaps` remembers what filters found, which shows in nothing but their speed.

    Examples
    --------
    >>> catalog = Catalog(3, ids=["merlot", "syrah", "malbec"])
    >>> catalog.rows_of(["malbec", "merlot"])
    array([2, 0])
    >>> catalog.ids_of([1])
    ['syrah']
    """

    def __init__(self, n_samples: int, ids: Any = None, table: pa.Table | None = None) -> None:
        self._n_samples = n_samples
        self._ids = check_ids(n_samples, ids)
        self._read_table: Callable[[], pa.Table] | None = None
        self._table: pa.Table | None = None
        self._batches: Batches | None = None
        self.bitmaps = Bitmaps()
        super().__init__()
        if table is not None:
            from kneighbors.items.tables import check_table

            self._table = check_table(n_samples, table)

    @classmethod
    def from_data(cls, n_samples: int, ids: Any = None, items: Any = None) -> Catalog:
        """Make a catalogue of data in any usual container.

        Parameters
        ----------
        n_samples : int
            Number of rows of the corpus.
        ids : str, or as for `Catalog`, optional
            The name of the column of ``items`` that holds the ids, and then is no attribute any
            more; or the ids themselves.
        items : Arrow table or batch, pandas or polars DataFrame, mapping of columns, or path, \
optional
            A path leads to a ``.csv`` or ``.parquet`` file.

        Returns
        -------
        Catalog

        Raises
        ------
        ItemsRefused
            When ids or items break a rule.
        StorageError
            When a file cannot be opened.

        Examples
        --------
        >>> items = {"wine": ["a7", "b2"], "price": [12.5, 30.0]}
        >>> catalog = Catalog.from_data(2, ids="wine", items=items)
        >>> catalog.ids_of([1]), catalog.attributes_of([1])
        (['b2'], [{'price': 30.0}])
        """
        if items is None:
            if isinstance(ids, str):
                raise ItemsRefused(
                    "ids-column",
                    f"Expected items with a column {quoted(ids)} for the ids, got no items.",
                )
            return cls(n_samples, ids)
        from kneighbors.items.tables import check_names, table_from, unknown_column

        table = table_from(items)
        if isinstance(ids, str):
            name = ids
            check_names(table.column_names)
            if name not in table.column_names:
                raise unknown_column(name, table.column_names)
            ids = table[name]
            table = table.drop_columns([name])
        return cls(n_samples, ids, table if table.num_columns else None)

    @classmethod
    def from_parts(
        cls,
        n_samples: int,
        id_type: str,
        parts: Mapping[str, NDArray[Any]],
        read_table: Callable[[], pa.Table] | None = None,
    ) -> Catalog:
        """Take back what `parts` and `table` gave to a file; they are trusted.

        Parameters
        ----------
        n_samples : int
            Number of rows.
        id_type : {"row", "integer", "string"}
        parts : mapping of str to ndarray
            As `parts` returned them; may be memory-mapped.
        read_table : callable, optional
            Returns the attribute table; called when it is first needed.
        """
        return cls.of(ids_from_parts(n_samples, id_type, parts), read_table)

    @classmethod
    def of(cls, ids: Ids, read_table: Callable[[], pa.Table] | None = None) -> Catalog:
        """Make a catalogue of ids that were checked already.

        Parameters
        ----------
        ids : Ids
        read_table : callable, optional
            Returns the attribute table; called when it is first needed.
        """
        catalog = cls(0)
        catalog._n_samples = len(ids)
        catalog._ids = ids
        catalog._read_table = read_table
        return catalog

    def __getstate__(self) -> dict[str, Any]:
        # A pickle carries the attributes themselves, not the open file they would be read from.
        table = self.table
        state = {name: value for name, value in self.__dict__.items() if name != "kinds"}
        computed: dict[str, Any] = {"_batches": None, "_lookups": {}}
        return {**state, "_table": table, "_read_table": None, **computed}

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that the ids consist of, to be stored under these names."""
        return self._ids.parts()

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self._n_samples

    @property
    def id_type(self) -> str:
        """``"row"`` when the row numbers are the ids, else ``"integer"`` or ``"string"``."""
        return self._ids.id_type

    @property
    def lookup(self) -> Any:
        """The ids themselves, and the way back from an id to its row."""
        return self._ids

    @property
    def has_items(self) -> bool:
        """Whether there is an attribute table; asking does not load it."""
        return self._table is not None or self._read_table is not None

    @property
    def table(self) -> pa.Table | None:
        """The attribute table, loaded when first asked for."""
        if self._table is None and self._read_table is not None:
            # Two threads may both read it: that costs time, and the tables are the same.
            self._table = self._read_table()
        return self._table

    @property
    def schema(self) -> pa.Schema | None:
        """Names and types of the attributes; None without a table."""
        return None if self.table is None else self.table.schema

    @cached_property
    def kinds(self) -> dict[str, tuple[Kind, str]]:
        """What each attribute is to a filter, and its type in the schema."""
        from kneighbors.items.kinds import kind_of

        return {field.name: (kind_of(field.type), str(field.type)) for field in self.schema or ()}

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes."""
        return () if self.table is None else tuple(self.table.column_names)

    def rows_of(self, ids: Sequence[str | int] | NDArray[Any]) -> RowArray:
        """Return the row of each id.

        Parameters
        ----------
        ids : sequence of str or int
            In any order, repeats allowed; each of the catalogue's own type.

        Returns
        -------
        ndarray of shape (len(ids),), dtype int64

        Raises
        ------
        ItemsRefused
            ``id-unknown`` naming the nearest ids, ``id-type`` for one of another type.

        Notes
        -----
        O(len(ids)), whatever the number of rows; naming the nearest takes about 10 ms.
        """
        if isinstance(ids, (str, bytes)):
            raise ItemsRefused("id-type", f"Expected a sequence of ids, got {quoted(ids)}.")
        return self._ids.rows_of(ids if isinstance(ids, Sequence) else list(ids))

    def ids_of(self, rows: RowArray | Sequence[int]) -> list[str | int]:
        """Return the id of each row.

        Raises
        ------
        ItemsRefused
            ``row-unknown`` when a row is negative or not below ``n_samples``.
        """
        return list(self._ids.ids_of(self._checked(rows)))

    def attributes_of(
        self, rows: RowArray | Sequence[int], columns: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the attributes of each row, as JSON can hold them.

        Parameters
        ----------
        rows : sequence of int
            In any order, repeats allowed.
        columns : sequence of str, optional
            Which attributes, in which order; all by default.

        Returns
        -------
        list of dict
            One for each row; empty dicts without a table. See `kneighbors.items.values` for how
            dates, decimals and NaN are written.

        Raises
        ------
        ItemsRefused
            ``items-column-unknown`` or ``row-unknown``.
        """
        wanted = self._checked(rows)
        names = self.columns if columns is None else self._known(columns)
        if not names:
            return [{} for _ in wanted]
        if self._batches is None:
            self._batches = Batches(self.table)
        return self._batches.take(wanted, names)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows.

        Raises
        ------
        ItemsRefused
            ``items-column-unknown``.
        """
        table = self.table
        if table is None or name not in table.column_names:
            from kneighbors.items.tables import unknown_column

            raise unknown_column(name, self.columns)
        return table[name]

    def _id_texts(self) -> Iterable[str]:
        return self._ids.texts()

    def _known(self, columns: Sequence[str]) -> Sequence[str]:
        from kneighbors.items.tables import unknown_column

        for name in columns:
            if name not in self.columns:
                raise unknown_column(name, self.columns)
        return columns

    def _checked(self, rows: RowArray | Sequence[int]) -> RowArray:
        wanted = np.asarray(rows, dtype=np.int64)
        wrong = wanted[(wanted < 0) | (wanted >= self._n_samples)]
        if wrong.size:
            raise ItemsRefused(
                "row-unknown",
                f"Expected rows from 0 to {self._n_samples - 1}, got {int(wrong[0])}.",
            )
        return wanted

    def __len__(self) -> int:
        return self._n_samples

    def __repr__(self) -> str:
        items = ", items" if self.has_items else ""
        return f"Catalog({self._n_samples} rows, ids: {self.id_type}{items})"
