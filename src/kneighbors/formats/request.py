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
#: How likes and dislikes become an order, by the wire's names.
STRATEGIES = ("mean", "best_score")


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Something liked or disliked: a row by its id, a vector, or terms; exactly one of them.

    Parameters
    ----------
    id : str or int, optional
    vector : ndarray of shape (n_features,), optional
        Not yet seen by the gate.
    terms : tuple of str, optional
        What stands for one vector in the vocabulary.
    weight : float, default=1.0
        Positive or 0.
    where : str, default=""
        Its place in the request, for refusals.
    """

    id: Id | None = None
    vector: FloatArray | None = None
    terms: tuple[str, ...] | None = None
    weight: float = 1.0
    where: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """A query by example: what is liked and what is not.

    Parameters
    ----------
    like, dislike : tuple of Example
    where : str, default=""
        Its place in the request, for refusals.
    """

    like: tuple[Example, ...]
    dislike: tuple[Example, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a request may ask for besides its queries. None means that it did not say.

    `docs/reference/recommend.md` says what each one does, and in which order.

    Parameters
    ----------
    n_neighbors : int, optional
        Neighbours for each query.
    radius, min_distance : float, optional
        Largest and smallest distance of an answer.
    exclude_self : bool, optional
        Whether a query leaves out the rows that it names; by default those liked and disliked, but
        not that of a query by id.
    exclude_ids : tuple of str or int, default=()
        Ids that are no answers to any of the queries.
    include_ids : tuple of str or int, optional
        The only ids that may be answers.
    exclude_list, include_list : tuple of str, optional
        The same by the names of lists in the artifact.
    filter : dict, optional
        What the attributes of an answer have to be; read by `kneighbors.items.filters`.
    diversity : float, default=0.0
        From 0, the nearest, to 1, the most unlike one another.
    group_by : str, optional
        An attribute; at most `max_per_group` answers have the same value in it.
    max_per_group : int, optional
        By default 1.
    fold_within : float, optional
        An answer this close to one before it is left out.
    strategy : {"mean", "best_score"}, default="mean"
        How likes and dislikes become an order.
    unknown_terms : {"refuse", "skip"}, default="refuse"
        What becomes of terms that are not in the vocabulary.
    include_items : bool or tuple of str, default=False
        Whether the attributes come with the answers: all of them, or the columns named.
    explain : bool, default=False
        Whether each answer says which like it is nearest to, and what they share.
    allow_partial : bool, default=False
        Whether to answer from the rest while rows cannot be reached.
    ids_are_text : frozenset of str, default=frozenset()
        Those of ``exclude_ids`` and ``include_ids`` that came from a header, where the integer 12
        and the string "12" look alike; the reader of the ids then decides.
    """

    n_neighbors: int | None = None
    radius: float | None = None
    min_distance: float | None = None
    exclude_self: bool | None = None
    exclude_ids: tuple[Id, ...] = ()
    include_ids: tuple[Id, ...] | None = None
    exclude_list: tuple[str, ...] | None = None
    include_list: tuple[str, ...] | None = None
    filter: dict[str, Any] | None = None
    diversity: float = 0.0
    group_by: str | None = None
    max_per_group: int | None = None
    fold_within: float | None = None
    strategy: str = "mean"
    unknown_terms: str = "refuse"
    include_items: bool | tuple[str, ...] = False
    explain: bool = False
    allow_partial: bool = False
    ids_are_text: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """The queries of a request and what it asks of them: vectors, ids or wishes.

    Parameters
    ----------
    vectors : ndarray of shape (n_queries, n_features), dtype float32 or float64, optional
        C-contiguous, native byte order, possibly read-only; not yet seen by the gate.
    ids : list of str or int, optional
        Rows of the corpus that are the queries.
    wishes : list of Wish, optional
        Queries by example.
    single : bool, default=False
        Whether a lone vector came rather than a batch of one.
    shape : {"array", "object"}, default="array"
        How an answer in JSON is to be laid out.
    parameters : Parameters
    """

    vectors: FloatArray | None = None
    ids: list[Id] | None = None
    wishes: list[Wish] | None = None
    single: bool = False
    shape: Shape = "array"
    parameters: Parameters = field(default_factory=Parameters)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        if self.vectors is not None:
            return int(self.vectors.shape[0])
        return len(self.ids or self.wishes or ())


@dataclass(frozen=True, slots=True)
class Payload:
    """What one body holds: a `Request` whose parameters still have to be joined with a header's.

    Parameters
    ----------
    vectors, ids, wishes, single, shape
        As in `Request`.
    given : dict
        The parameters in the body, checked, by their canonical names.
    """

    vectors: FloatArray | None = None
    ids: list[Id] | None = None
    wishes: list[Wish] | None = None
    single: bool = False
    shape: Shape = "array"
    given: dict[str, Any] = field(default_factory=dict)
