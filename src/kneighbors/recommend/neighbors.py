"""The neighbours of one query, as Python has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """The neighbours of one query, the best first.

    Parameters
    ----------
    distances : ndarray of shape (n_found,), dtype float64
    indices : ndarray of shape (n_found,), dtype int64
        Rows of the corpus.
    ids : list of str or int
        The same by their ids.
    items : list of dict, optional
        Their attributes, if they were asked for.
    reason : str, optional
        Why there are fewer than asked for, such as ``"excluded"``; None if there are not.
    detail : str, optional
        A sentence more about that, where a filter leaves nothing.
    explanations : list of dict, optional
        For each, the like that it is nearest to, if that was asked for.
    missing_rows : list of (int, int), optional
        First and last row of each range that may have had an answer and could not be searched;
        only with `allow_partial`.
    """

    distances: NDArray[np.float64]
    indices: NDArray[np.int64]
    ids: list[str | int]
    items: list[dict[str, Any]] | None = None
    reason: str | None = None
    detail: str | None = None
    explanations: list[dict[str, Any]] | None = None
    missing_rows: list[tuple[int, int]] | None = None

    @property
    def n_found(self) -> int:
        """How many there are."""
        return len(self.distances)

    def __len__(self) -> int:
        return len(self.distances)

    def _repr_html_(self) -> str:
        from kneighbors.recommend.views import table_html

        return table_html(self)
