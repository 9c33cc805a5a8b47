"""What became of a join."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class JoinReport:
    """What became of a join.

    Attributes
    ----------
    output : str
    queries : int
    parts, parts_kept : int
        Files of answers, and how many of them an earlier run had made.
    bytes : int
        Of all files of answers.
    seconds : float
        Of this run.
    """

    output: str
    queries: int
    parts: int
    parts_kept: int
    bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)
