"""Which rows may be answers: all but those a query excludes, and only those its mask allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.rows import RowArray

BoolArray = NDArray[np.bool_]
Excluded = Sequence[RowArray]
Masks = Sequence[BoolArray | None]

#: Where a mask leaves at most one row of so many, the rows left are scored and no bounds made.
_SCORED_SHARE = 256


class Permitted:
    """The rows that may be answers of some queries.

    Parameters
    ----------
    n_samples : int
        Rows of the corpus.
    exclude : sequence of int64 arrays, optional
        For each query, rows that may not be answers.
    masks : sequence of bool arrays of shape (n_samples,) or None, optional
        For each query, where an answer may be; None allows all rows. Queries may share the very
        same array: it is looked at once.
    """

    def __init__(
        self, n_samples: int, exclude: Excluded | None = None, masks: Masks | None = None
    ) -> None:
        self._n_samples = n_samples
        self._exclude = exclude
        self._masks = masks

    def of(self, queries: Sequence[int]) -> Permitted:
        """Return the same for some of the queries."""
        exclude = None if self._exclude is None else [self._exclude[query] for query in queries]
        masks = None if self._masks is None else [self._masks[query] for query in queries]
        return Permitted(self._n_samples, exclude, masks)

    def few(self, n_neighbors: int) -> dict[int, RowArray]:
        """Return the rows of those queries for which bounding all rows would be a waste."""
        if self._masks is None:
            return {}
        most = max(self._n_samples // _SCORED_SHARE, 2 * n_neighbors)
        found: dict[int, RowArray | None] = {}
        out = {}
        for query, mask in enumerate(self._masks):
            if mask is None:
                continue
            if id(mask) not in found:
                few = np.count_nonzero(mask) <= most
                found[id(mask)] = np.flatnonzero(mask).astype(np.int64) if few else None
            rows = found[id(mask)]
            if rows is not None:
                out[query] = self._without_excluded(query, rows)
        return out

    def _without_excluded(self, query: int, rows: RowArray) -> RowArray:
        if self._exclude is None or not len(self._exclude[query]):
            return rows
        return rows[~np.isin(rows, self._exclude[query])]

    def hide(self, bounds: NDArray[Any], first: int, last: int, hidden: float) -> bool:
        """Overwrite the bounds of rows `first` to `last` that may not be answers.

        Parameters
        ----------
        bounds : ndarray of shape (n_pieces, n_queries, rows of a piece)
            Rows are counted through the pieces; what is beyond the last has `hidden` already.
        first, last : int
            Rows of the corpus.
        hidden : float
            What is below every bound.

        Returns
        -------
        bool
            Whether more than a few rows may have been hidden.
        """
        n_pieces, _, width = bounds.shape
        if self._exclude is not None:
            for query, rows in enumerate(self._exclude):
                inside = rows[(rows >= first) & (rows < last)] - first
                bounds[inside // width, query, inside % width] = hidden
        if self._masks is None:
            return False
        least: dict[int, NDArray[Any]] = {}
        for query, mask in enumerate(self._masks):
            if mask is None:
                continue
            if id(mask) not in least:
                # The lesser of a bound and this: no branch for a row, as a masked copy has,
                # which takes longer than all the rest where the mask is like noise.
                choices = np.array([hidden, _highest(bounds.dtype)], bounds.dtype)
                every = np.full(n_pieces * width, hidden, bounds.dtype)
                within = mask[first:last].view(np.uint8)
                choices.take(within, out=every[: len(within)], mode="clip")
                least[id(mask)] = every.reshape(n_pieces, width)
            part = bounds[:, query]
            np.minimum(part, least[id(mask)], out=part)
        return True


def _highest(dtype: np.dtype[Any]) -> float:
    """Return what no bound is above."""
    return np.iinfo(dtype).max if dtype.kind == "i" else np.inf
