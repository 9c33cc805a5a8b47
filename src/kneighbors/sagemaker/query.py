"""A request that has been understood and checked, and what was found for it.

Between the two lies only the search, so that a server may join the queries of several requests
into one product (`kneighbors.sagemaker.finding.find`) and still answer each by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kneighbors.formats.request import FloatArray, Shape

Float64Array = NDArray[np.float64]
RowArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A request ready to be searched for.

    Parameters
    ----------
    vectors : ndarray of shape (n_queries, n_features), dtype float32 or float64
        Checked by the gate.
    n_neighbors : int or None
        Neighbours for each query; None where a radius alone decides, never without one.
    radius : float or None
        Largest distance of an answer.
    exclude : list of ndarray, or None
        For each query, rows that may not be answers.
    include_items : bool or tuple of str
        Whether the attributes are wanted, or which.
    single, shape
        As in `kneighbors.formats.Request`.
    accept : str or None
        The Accept header; the format follows from it, from `source` and from what was found.
    source : str
        Media type of the request.
    """

    vectors: FloatArray
    n_neighbors: int | None
    radius: float | None
    exclude: list[RowArray] | None
    include_items: bool | tuple[str, ...]
    single: bool
    shape: Shape
    accept: str | None
    source: str

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The neighbours of one request's queries.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, n_neighbors), dtype float64, or list of ndarray
        A list where the queries have different numbers of neighbours, or too few.
    indices : ndarray of shape (n_queries, n_neighbors), dtype int64, or list of ndarray
    reasons : list of (str or None), optional
        Why a query has fewer neighbours than asked for.
    """

    distances: Float64Array | Sequence[Float64Array]
    indices: RowArray | Sequence[RowArray]
    reasons: list[str | None] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it goes back.

    Parameters
    ----------
    body : bytes
    content_type : str
    rows : int
        Number of queries that were answered; 0 where only a user's script knows.
    status : int, default=200
        HTTP status; a user's script may answer with another.
    headers : tuple of (str, str), default=()
        What a user's script wants to send besides.
    """

    body: bytes
    content_type: str
    rows: int
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
