"""What a request gets, before it is written in any format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.formats.request import Id, Shape

Float64Array = NDArray[np.float64]
RowArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answer:
    """The neighbours of every query, in the order of the queries.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, n_neighbors), dtype float64, or list of ndarray
        Ascending for each query. A list where the queries have different numbers of neighbours,
        or fewer than they asked for.
    indices : ndarray of shape (n_queries, n_neighbors), dtype int64, or list of ndarray
        Rows of the corpus.
    ids : list of list of (str or int), optional
        The same neighbours by their ids; needed where `shape` is ``"object"``.
    items : list of list of dict, optional
        Their attributes, if they were asked for.
    reasons : list of (str or None), optional
        Why a query has fewer neighbours than it asked for, such as ``"excluded"``; None where it
        has them all.
    details : list of (str or None), optional
        A sentence more about that.
    explanations : list of list of dict, optional
        For each neighbour, the like that it is nearest to, if that was asked for.
    missing : list of (sequence of (int, int)), optional
        For each query the first and the last row of each range that could not be searched.
    approximate : bool, default=False
        Whether nearer rows may have been missed.
    single : bool, default=False
        Whether there was a lone vector rather than a batch of one.
    shape : {"array", "object"}, default="array"
        How the answer is laid out in JSON.
    """

    distances: Float64Array | Sequence[Float64Array]
    indices: RowArray | Sequence[RowArray]
    ids: list[list[Id]] | None = None
    items: list[list[dict[str, Any]]] | None = None
    reasons: list[str | None] | None = None
    details: list[str | None] | None = None
    explanations: list[list[dict[str, Any]]] | None = None
    missing: Sequence[Sequence[tuple[int, int]]] | None = None
    approximate: bool = False
    single: bool = False
    shape: Shape = "array"

    def __len__(self) -> int:
        return len(self.distances)
