"""Going on without rows that nobody can search at the moment, where a request allows that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kneighbors.recommend.query import Ranges

if TYPE_CHECKING:
    from kneighbors.search.graph_opening import Index

#: Why a query has too few neighbours where some rows could not be searched.
UNAVAILABLE = "unavailable"


def can_be_partial(index: Any) -> bool:
    """Tell whether some rows of an index may be out of reach while others are not."""
    return hasattr(index, "partial")


class Reachable:
    """An index for some searches, and what they went on without.

    Parameters
    ----------
    index : Index
    allow_partial : bool
        Where not, or where the rows are always there, searches are those of `index`.

    Attributes
    ----------
    index : Index
        To be searched.
    """

    def __init__(self, index: Index, allow_partial: bool) -> None:
        self._made: Any = (
            index.partial()  # type: ignore[union-attr]
            if allow_partial and can_be_partial(index)
            else None
        )
        self.index: Index = index if self._made is None else self._made

    def missing(self, n_queries: int) -> list[Ranges]:
        """Return the rows that each query went without, of searches for so many in order."""
        if self._made is None:
            return [[] for _ in range(n_queries)]
        return [united(ranges) for ranges in self._made.missing]

    def missing_of_all(self) -> Ranges:
        """Return the rows that any of the searches went without."""
        if self._made is None:
            return []
        return united(one for ranges in self._made.missing for one in ranges)


def united(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return ranges in order, those that touch each other as one.

    Examples
    --------
    >>> united([(400, 799), (0, 99), (800, 999), (0, 99)])
    [(0, 99), (400, 999)]
    """
    found: Ranges = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def none_if_complete(missing: list[Ranges]) -> list[Ranges] | None:
    """Return nothing where no query went without any row."""
    return missing if any(missing) else None
