"""What may be asked of neighbours, as keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class Wanted(TypedDict, total=False):
    """What a query asks for besides what it is; `docs/reference/recommend.md` tells the order.

    Attributes
    ----------
    n_neighbors : int
        How many.
    radius, min_distance : float
        Largest and smallest distance of an answer.
    exclude_self : bool
        Whether the rows that a query names are left out: likes and dislikes by default, the row of
        a query by id not.
    exclude_ids, include_ids : sequence of str or int
        Ids that are no answers, and the only ones that may be.
    exclude_list, include_list : str or sequence of str
        The same by the names of lists in the artifact.
    filter : mapping
        What the attributes have to be, as in ``{"price": {"lt": 30}}``.
    diversity : float
        From 0, the nearest, to 1, the most unlike one another.
    group_by : str
        An attribute; at most `max_per_group` answers, by default 1, share a value of it.
    max_per_group : int
    fold_within : float
        An answer this close to one before it is left out.
    strategy : {"mean", "best_score"}
        How likes and dislikes become an order; by default by their mean.
    unknown_terms : {"refuse", "skip"}
        What becomes of terms that are not in the vocabulary.
    include_items : bool or sequence of str
        Whether the attributes come with the answers, or which.
    explain : bool
        Whether each answer says which like it is nearest to, and what they share.
    allow_partial : bool
        Whether to answer from the rest while rows of a cluster cannot be reached.
    """

    n_neighbors: int | None
    radius: float | None
    min_distance: float | None
    exclude_self: bool | None
    exclude_ids: Sequence[str | int] | None
    include_ids: Sequence[str | int] | None
    exclude_list: str | Sequence[str] | None
    include_list: str | Sequence[str] | None
    filter: Mapping[str, Any] | None
    diversity: float | None
    group_by: str | None
    max_per_group: int | None
    fold_within: float | None
    strategy: Literal["mean", "best_score"] | None
    unknown_terms: Literal["refuse", "skip"] | None
    include_items: bool | Sequence[str] | None
    explain: bool | None
    allow_partial: bool | None
