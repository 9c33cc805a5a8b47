"""The group of each row: equal values of an attribute, as whole numbers."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ItemsRefused
from kneighbors.formats.text import shown
from kneighbors.items import Catalog

_MOST_KEPT = 8


class Groups:
    """The groups of a catalogue's rows by its attributes; those used last are kept.

    Parameters
    ----------
    catalog : Catalog
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: OrderedDict[str, NDArray[np.int64]] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Catalog]:
        return {"_catalog": self._catalog}

    def __setstate__(self, state: dict[str, Catalog]) -> None:
        self.__init__(state["_catalog"])  # type: ignore[misc]

    def of(self, column: str, where: str) -> NDArray[np.int64]:
        """Return the number of each row's group; -1 where there is no value.

        Raises
        ------
        ItemsRefused
            With code ``items-missing``, ``items-column-unknown``, or ``group-type`` for an
            attribute that holds several values a row.
        """
        with self._lock:
            if column in self._kept:
                self._kept.move_to_end(column)
                return self._kept[column]
        codes = self._codes(column, where)
        with self._lock:
            self._kept[column] = codes
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return codes

    def _codes(self, column: str, where: str) -> NDArray[np.int64]:
        table = self._catalog.table
        if table is None:
            raise ItemsRefused(
                "items-missing",
                "Expected an index with attributes to group by, got none.",
                where=where,
            )
        if column not in table.column_names:
            from kneighbors.items.tables import unknown_column

            error = unknown_column(column, table.column_names)
            raise ItemsRefused(error.code, error.message, where=where, hint=error.hint)
        import pyarrow as pa
        import pyarrow.types as kinds

        values = table[column]
        kind = values.type
        if kinds.is_dictionary(kind):
            kind = kind.value_type
        if kinds.is_nested(kind):
            raise ItemsRefused(
                "group-type",
                f"Expected an attribute with one value a row, got {shown(column)}, which has "
                "lists.",
                where=where,
            )
        parts = []
        # One number for one value across the chunks, and across equal words of a dictionary.
        numbers: dict[object, int] = {}
        for chunk in values.chunks:
            plain = chunk.dictionary_decode() if isinstance(chunk, pa.DictionaryArray) else chunk
            encoded = plain.dictionary_encode()
            known = [
                -1 if value is None or value != value else numbers.setdefault(value, len(numbers))
                for value in encoded.dictionary.to_pylist()
            ]
            places = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
            parts.append(np.array([*known, -1], np.int64)[places])
        codes = np.concatenate(parts) if parts else np.empty(0, np.int64)
        codes.setflags(write=False)
        return codes
