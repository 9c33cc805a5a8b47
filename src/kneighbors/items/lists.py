"""Named lists of rows: what was seen, what is in stock, what a campaign is about."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ItemsRefused
from kneighbors.items.quoting import names_listed, quoted
from kneighbors.items.wordblock import check_word, forged, from_arrays, to_arrays
from kneighbors.search.rows import RowArray

if TYPE_CHECKING:
    from kneighbors.items.catalog import Catalog

MOST_LISTS = 10_000


class Lists:
    """Lists of rows by name.

    Parameters
    ----------
    lists : mapping of str to sequence of int, optional
        Rows of the corpus; repeats are dropped, and the order is not kept.

    Raises
    ------
    ItemsRefused
        ``list-name`` for a name that is empty, too long or no text, or for more than 10,000 lists.

    Examples
    --------
    >>> lists = Lists({"in stock": [4, 2, 4]})
    >>> lists.rows("in stock"), lists.names
    (array([2, 4]), ('in stock',))
    """

    def __init__(self, lists: Mapping[str, Any] | None = None) -> None:
        lists = lists or {}
        if len(lists) > MOST_LISTS:
            raise ItemsRefused(
                "list-name", f"Expected at most {MOST_LISTS:,} lists, got {len(lists):,}."
            )
        for at, name in enumerate(lists):
            check_word(name, "names of lists", "list-name", f"list {at}")
        self._rows: dict[str, RowArray] = {
            name: np.unique(np.asarray(rows, dtype=np.int64)) for name, rows in lists.items()
        }

    @classmethod
    def of_ids(cls, catalog: Catalog, lists: Mapping[str, Any]) -> Lists:
        """Make lists of ids.

        Parameters
        ----------
        catalog : Catalog
            Whose ids they are.
        lists : mapping of str to sequence of str or int

        Raises
        ------
        ItemsRefused
            ``id-unknown`` or ``id-type``, with the name of the list; ``list-name``.
        """
        rows = {}
        for name, ids in lists.items():
            try:
                rows[name] = catalog.rows_of(ids)
            except ItemsRefused as error:
                where = f"list {quoted(name)}, {error.where}" if error.where else f"list {name!a}"
                raise ItemsRefused(
                    error.code, error.message, where=where, hint=error.hint
                ) from error
        return cls(rows)

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]], n_samples: int) -> Lists:
        """Take back what `parts` returned; the rows may be memory-mapped.

        Raises
        ------
        ArtifactError
            ``artifact-invalid`` when nothing of ours wrote such arrays.
        """
        names = from_arrays(parts["lists-text"], parts["lists-offsets"], "the names of the lists")
        ends, rows = parts["lists-ends"].tolist(), parts["lists-rows"]
        rising = ends == sorted(ends) and (ends[0], ends[-1]) == (0, len(rows))
        if len(ends) != len(names) + 1 or not rising:
            raise forged("the ends of the lists")
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < n_samples:
            raise forged("the rows of the lists")
        lists = cls()
        lists._rows = {
            name: rows[start:stop] for name, start, stop in zip(names, ends, ends[1:], strict=False)
        }
        return lists

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store, under these names; none without lists."""
        if not self._rows:
            return {}
        text, offsets = to_arrays(list(self._rows))
        ends = np.zeros(len(self._rows) + 1, dtype=np.int64)
        np.cumsum([len(rows) for rows in self._rows.values()], out=ends[1:])
        return {
            "lists-text": text,
            "lists-offsets": offsets,
            "lists-ends": ends,
            "lists-rows": np.concatenate(list(self._rows.values())),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the lists, in the order given."""
        return tuple(self._rows)

    def rows(self, name: str) -> RowArray:
        """Return the rows of a list.

        Returns
        -------
        ndarray of shape (n,), dtype int64
            Ascending, each once.

        Raises
        ------
        ItemsRefused
            ``list-unknown``, with the lists that there are.
        """
        if not isinstance(name, str) or name not in self._rows:
            close = get_close_matches(name[:64], self._rows, n=1) if isinstance(name, str) else []
            mean = f"Did you mean {quoted(close[0])}? " if close else ""
            known = f"The lists are {names_listed(self._rows)}." if self else "There are no lists."
            raise ItemsRefused(
                "list-unknown",
                f"Expected the name of a list, got {quoted(name)}.",
                hint=mean + known,
            )
        return self._rows[name]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Lists({', '.join(f'{name!r}: {len(rows)}' for name, rows in self._rows.items())})"
