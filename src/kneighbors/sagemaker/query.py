"""What goes back; what comes in and what is found are those of `kneighbors.recommend`."""

from __future__ import annotations

from dataclasses import dataclass

from kneighbors.recommend.query import Found, Query

__all__ = ["Found", "Query", "Reply"]


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
        What a user's script wants to send besides, or what formats of arrays have no place for.
    is_partial : bool, default=False
        Whether rows could not be searched.
    """

    body: bytes
    content_type: str
    rows: int
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    is_partial: bool = False
