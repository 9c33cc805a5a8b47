"""Whole numbers that callers hand in, checked."""

from __future__ import annotations

from operator import index
from typing import Any

from kneighbors.errors import ParameterRefused


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return a parameter as an int within bounds.

    Raises
    ------
    ParameterRefused
        ``parameter-type`` or ``parameter-range``.
    """
    try:
        number = None if isinstance(value, bool) else index(value)
    except TypeError:
        number = None
    if number is None:
        raise ParameterRefused(
            "parameter-type",
            f"Expected a whole number for {name}, got {value!r} of type {type(value).__name__}.",
        )
    if not low <= number <= high:
        raise ParameterRefused(
            "parameter-range", f"Expected {name} from {low:,} to {high:,}, got {number:,}."
        )
    return number
