"""Vectors of several artifacts, one after another, without copying them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kneighbors.search.rows import FloatArray, RowArray, Rows


class JoinedRows:
    """The rows of several artifacts, one after another, as `kneighbors.search.rows.Rows`.

    Parameters
    ----------
    parts : sequence of Rows
        Of one width and one dtype; at least one.
    """

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([part.shape[0] for part in parts])
        self._starts = self._ends - [part.shape[0] for part in parts]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return int(self._ends[-1]), self._parts[0].shape[1]

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of the elements."""
        return self._parts[0].dtype

    def take(self, rows: RowArray) -> FloatArray:
        """Return copies of the given rows, in the given order."""
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        homes = np.searchsorted(self._ends, rows, side="right")
        for home in np.unique(homes).tolist():
            (places,) = np.nonzero(homes == home)
            out[places] = self._parts[home].take(rows[places] - self._starts[home])
        return out

    def slice(self, start: int, stop: int) -> FloatArray:
        """Return rows ``start`` to ``stop``: mapped, or copied where several parts hold them."""
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        pieces = [part.slice(first, last) for part, first, last in self._within(start, stop)]
        if not pieces:
            return np.empty((0, self.shape[1]), self.dtype)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def check(self, start: int, stop: int) -> None:
        """Compare rows ``start`` to ``stop`` with their checksums, where they lie."""
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        for part, first, last in self._within(start, stop):
            getattr(part, "check", part.slice)(first, last)

    def _within(self, start: int, stop: int) -> Iterator[tuple[Rows, int, int]]:
        """Yield the parts that have some of these rows, and which of their own those are."""
        for part, begin, end in zip(
            self._parts, self._starts.tolist(), self._ends.tolist(), strict=True
        ):
            if begin < stop and start < end:
                yield part, max(start - begin, 0), min(stop, end) - begin


class SomeRows:
    """A range of rows as rows of their own, as `kneighbors.search.rows.Rows`.

    Parameters
    ----------
    rows : Rows
    first, stop : int
        The first row, and the one after the last.
    """

    def __init__(self, rows: Rows, first: int, stop: int) -> None:
        self._rows = rows
        self._first = first
        self._stop = stop

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return self._stop - self._first, self._rows.shape[1]

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of the elements."""
        return self._rows.dtype

    def take(self, rows: RowArray) -> FloatArray:
        """Return copies of the given rows."""
        return self._rows.take(rows + self._first)

    def slice(self, start: int, stop: int) -> FloatArray:
        """Return rows ``start`` to ``stop``."""
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        return self._rows.slice(start + self._first, stop + self._first)
