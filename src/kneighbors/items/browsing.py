"""What a page asks of a catalogue: how values are spread, and which names are like a word."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ItemsRefused
from kneighbors.items.quoting import quoted
from kneighbors.search.rows import RowArray

if TYPE_CHECKING:
    import pyarrow as pa

    from kneighbors.items.lookup import Lookup, Match


class Browsable(ABC):
    """Facets and a search of names, over whatever has ids and attributes."""

    def __init__(self) -> None:
        self._lookups: dict[str | None, Lookup] = {}

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes."""

    @abstractmethod
    def column(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""

    @abstractmethod
    def ids_of(self, rows: RowArray | Sequence[int]) -> list[str | int]:
        """Return the id of each row."""

    @abstractmethod
    def attributes_of(
        self, rows: RowArray | Sequence[int], columns: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the attributes of each row."""

    @abstractmethod
    def _id_texts(self) -> Iterable[str]:
        """Return the ids of all rows as text."""

    def facets(
        self,
        mask: NDArray[np.bool_] | None = None,
        columns: Sequence[str] | None = None,
        *,
        n_values: int = 50,
        n_bins: int = 30,
    ) -> list[dict[str, Any]]:
        """Return of each attribute what its values are, in counts, as JSON can hold it.

        Parameters
        ----------
        mask : ndarray of shape (n_samples,), dtype bool, optional
            Which rows are counted; all by default.
        columns : sequence of str, optional
            Which attributes; all by default.
        n_values, n_bins : int
            How many values are named, and bars drawn, at most.

        Returns
        -------
        list of dict
            See `kneighbors.items.facets.facet_of`.

        Raises
        ------
        ItemsRefused
            ``items-column-unknown``.
        """
        from kneighbors.items.facets import facet_of

        names = self.columns if columns is None else columns
        return [
            facet_of(name, self.column(name), mask, n_values=n_values, n_bins=n_bins)
            for name in names
        ]

    def search_text(self, query: str, column: str | None = None, limit: int = 20) -> list[Match]:
        """Return rows whose id, or text in a column, is like what somebody types.

        Parameters
        ----------
        query : str
            Some beginnings of words, or words with a slip in them.
        column : str, optional
            An attribute of text; the ids by default.
        limit : int, default 20

        Returns
        -------
        list of Match
            ``row`` and ``text`` of each, the likeliest first.

        Raises
        ------
        ItemsRefused
            ``items-column-unknown``, or ``items-type`` for a column that is no text.

        Notes
        -----
        The first search of a column makes a `kneighbors.items.lookup.Lookup` of it, which is kept:
        0.7 s for 180,000 names. A search for nothing makes it beforehand.
        """
        from kneighbors.items.lookup import Match

        lookup = self._lookups.get(column)
        if lookup is None:
            # Two threads may both make it: that costs time, and they are the same.
            lookup = self._lookups[column] = self._lookup_of(column)
        rows = lookup.rows(query, limit)
        if column is None:
            texts = [str(one) for one in self.ids_of(rows)]
        else:
            texts = [str(one[column]) for one in self.attributes_of(rows, [column])]
        return [Match(row, text) for row, text in zip(rows, texts, strict=True)]

    def _lookup_of(self, column: str | None) -> Lookup:
        from kneighbors.items.kinds import kind_of
        from kneighbors.items.lookup import Lookup

        if column is None:
            return Lookup(self._id_texts())
        values = self.column(column)
        if kind_of(values.type).name != "text":
            raise ItemsRefused(
                "items-type",
                f"Expected a column of text, got one of {values.type}.",
                where=f"column {quoted(column)}",
            )
        return Lookup(text for chunk in values.chunks for text in chunk.to_pylist())
