"""What a request asks for, whatever it was written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
#: How an answer in JSON is laid out: nested arrays as ``application/x-npy`` has them, or objects.
Shape = Literal["array", "object"]
Id = str | int


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a request may ask for besides its queries. None means that it did not say.

    Parameters
    ----------
    n_neighbors : int, optional
        Neighbours for each query.
    radius : float, optional
        Largest distance of an answer.
    exclude_self : bool, default=False
        Whether a query by id leaves out that very row.
    exclude_ids : tuple of str or int, default=()
        Ids that are no answers to any of the queries.
    include_items : bool or tuple of str, default=False
        Whether the attributes come with the answers: all of them, or the columns named.
    exclude_ids_are_text : bool, default=False
        Whether `exclude_ids` came from a header, where the integer 12 and the string "12" look
        alike; the reader of the ids then decides.
    """

    n_neighbors: int | None = None
    radius: float | None = None
    exclude_self: bool = False
    exclude_ids: tuple[Id, ...] = ()
    include_items: bool | tuple[str, ...] = False
    exclude_ids_are_text: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """The queries of a request and what it asks of them: either vectors or ids, never both.

    Parameters
    ----------
    vectors : ndarray of shape (n_queries, n_features), dtype float32 or float64, optional
        C-contiguous, native byte order, possibly read-only; not yet seen by the gate.
    ids : list of str or int, optional
        Rows of the corpus that are the queries.
    single : bool, default=False
        Whether a lone vector came rather than a batch of one.
    shape : {"array", "object"}, default="array"
        How an answer in JSON is to be laid out.
    parameters : Parameters
    """

    vectors: FloatArray | None = None
    ids: list[Id] | None = None
    single: bool = False
    shape: Shape = "array"
    parameters: Parameters = field(default_factory=Parameters)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        if self.vectors is not None:
            return int(self.vectors.shape[0])
        return len(self.ids or ())


@dataclass(frozen=True, slots=True)
class Payload:
    """What one body holds: a `Request` whose parameters still have to be joined with a header's.

    Parameters
    ----------
    vectors, ids, single, shape
        As in `Request`.
    given : dict
        The parameters in the body, checked, by their canonical names.
    """

    vectors: FloatArray | None = None
    ids: list[Id] | None = None
    single: bool = False
    shape: Shape = "array"
    given: dict[str, Any] = field(default_factory=dict)
