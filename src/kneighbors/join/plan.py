"""What a join is to do, written down before it begins: with it, another run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from kneighbors.artifact import canonical
from kneighbors.errors import ParameterRefused, StorageError

FORMAT = "kneighbors-join"


@dataclass(frozen=True)
class JoinPlan:
    """What a join is to do.

    Parameters
    ----------
    model : str
        Digest of the artifact.
    asked : mapping
        What is asked of each query.
    queries : mapping
        Which files they are in, as far as these can be told apart from others.
    n_queries : int
    rows_per_part : int
    """

    model: str
    asked: Mapping[str, Any]
    queries: Mapping[str, Any]
    n_queries: int
    rows_per_part: int

    @property
    def n_parts(self) -> int:
        """How many files the answers are in."""
        return -(-self.n_queries // self.rows_per_part)

    @cached_property
    def digest(self) -> str:
        """One name for all of it: 64 hexadecimal digits."""
        return sha256(self.to_bytes()).hexdigest()

    def span(self, part: int) -> tuple[int, int]:
        """Return the first query of a part, and the one after its last."""
        first = part * self.rows_per_part
        return first, min(first + self.rows_per_part, self.n_queries)

    def fields(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "asked": dict(self.asked),
            "format": FORMAT,
            "model": self.model,
            "n_queries": self.n_queries,
            "queries": dict(self.queries),
            "rows_per_part": self.rows_per_part,
        }

    def to_bytes(self) -> bytes:
        """Return it as a file."""
        return canonical.to_bytes(self.fields())

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], where: str) -> JoinPlan:
        """Take back what `fields` gave.

        Raises
        ------
        StorageError
            With code ``join-journal`` if it is something else.
        """
        try:
            if fields["format"] != FORMAT or not fields["rows_per_part"] >= 1:
                raise ValueError("another format")
            names = ("model", "asked", "queries", "n_queries", "rows_per_part")
            return cls(**{name: fields[name] for name in names})
        except (LookupError, TypeError, ValueError) as error:
            raise StorageError(
                "join-journal",
                f"Expected the journal of a join, got something else ({error}).",
                where=where,
                hint="Ask for it to be overwritten.",
            ) from error

    def refuse_other(self, earlier: JoinPlan, where: str) -> None:
        """Refuse to go on with a join that was another.

        Raises
        ------
        ParameterRefused
            With code ``join-differs``, naming what differs.
        """
        for name in ("model", "asked", "queries", "n_queries", "rows_per_part"):
            mine, theirs = getattr(self, name), getattr(earlier, name)
            if mine != theirs:
                raise ParameterRefused(
                    "join-differs",
                    f"Expected to go on with {name} {_differing(theirs, mine)}, "
                    f"got {_differing(mine, theirs)}.",
                    where=where,
                    hint="Give what the run was begun with, or ask for it to be overwritten.",
                )


def _differing(one: Any, other: Any) -> str:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        one = {name: value for name, value in one.items() if value != other.get(name)}
    return f"{one!r:.120}"
