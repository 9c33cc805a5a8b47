"""How much one request may ask for, so that no request can exhaust the memory or the time."""

from __future__ import annotations

from dataclasses import dataclass, fields

from kneighbors.errors import ParameterRefused


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds on one request and its answer.

    Parameters
    ----------
    max_body_bytes : int, default=6_291_456
        Bytes of a request's body. The default is what SageMaker's real-time endpoints let through.
    max_rows : int, default=10_000
        Queries in one request.
    max_neighbors : int, default=10_000
        Neighbours of one query.
    max_ids : int, default=10_000
        Ids in each of ``exclude_ids``, ``include_ids``, ``like`` and ``dislike``.
    max_compared : int, default=10_000_000
        Comparisons of candidates with one another, for diversity or folding, over all queries.
    max_scored : int, default=100
        Likes and dislikes of one query that are each searched for, by the strategy
        ``best_score``.
    max_answers : int, default=1_000_000
        Neighbours in one answer, over all its queries; 16 bytes each as ``application/x-npy``,
        about 30 as JSON.
    max_items : int, default=100_000
        Neighbours in one answer that come with their attributes.
    max_id_length : int, default=1_024
        Characters of one id; no longer ones are stored.

    Raises
    ------
    ParameterRefused
        With code ``limit-range``, when one of them is not a positive integer.

    Examples
    --------
    >>> Limits(max_rows=100).max_rows
    100
    """

    max_body_bytes: int = 6_291_456
    max_rows: int = 10_000
    max_neighbors: int = 10_000
    max_ids: int = 10_000
    max_compared: int = 10_000_000
    max_scored: int = 100
    max_answers: int = 1_000_000
    max_items: int = 100_000
    max_id_length: int = 1_024

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise ParameterRefused(
                    "limit-range",
                    f"Expected {field.name} to be a positive integer, got {value!r}.",
                )
