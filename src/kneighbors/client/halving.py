"""What the server finds too large is asked for in halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kneighbors.client.connection import ServiceAnswerError

T = TypeVar("T")

_TOO_LARGE = frozenset({"body-too-large", "rows-too-many", "answer-too-large"})


def halving(part: Any, ask: Callable[[Any], list[T]]) -> list[T]:
    """Ask for a part of the queries, in halves where the server finds it too large."""
    try:
        return ask(part)
    except ServiceAnswerError as error:
        too_large = error.status == 413 or error.code in _TOO_LARGE
        if not too_large or len(part) < 2:
            raise
    middle = len(part) // 2
    return halving(part[:middle], ask) + halving(part[middle:], ask)
