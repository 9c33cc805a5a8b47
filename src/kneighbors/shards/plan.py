"""What shards are to be, before any is written: with it, each can be written, or written again.

The generation of a fit is taken from all of it, so that shards of two fits are never mistaken for
one another, and the same plan, carried out twice, gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from typing import Any

from kneighbors.artifact import canonical
from kneighbors.errors import ArtifactError, ParameterRefused
from kneighbors.shards.names import MOST_SHARDS, folder_of

_FORMAT = "kneighbors-shards-plan"
_KEYS = ("created", "dtype", "metric", "n_features", "n_samples", "source")


@dataclass(frozen=True)
class ShardPlan:
    """What shards are to be.

    Parameters
    ----------
    metric : str
        Canonical name.
    n_samples, n_features : int
        Shape of the whole corpus.
    dtype : str
        ``"float32"`` or ``"float64"``; of all shards.
    ends : tuple of int
        The first row, which is 0, of the first shard; then for each shard the row after its last.
    created : str
        When, in UTC; all manifests say the same.
    source : mapping
        Where the corpus comes from, for the manifests, as JSON has it.

    Examples
    --------
    >>> when = "2026-01-02T03:04:05Z"
    >>> plan = ShardPlan.even("cosine", (10, 2), "float32", n_shards=3, created=when)
    >>> plan.ends, plan.rows_of(1), plan.folder(1)[-5:]
    ((0, 4, 7, 10), (4, 7), '00001')
    """

    metric: str
    n_samples: int
    n_features: int
    dtype: str
    ends: tuple[int, ...]
    created: str
    source: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def even(
        cls,
        metric: str,
        shape: tuple[int, int],
        dtype: str,
        *,
        n_shards: int | None = None,
        rows_per_shard: int | None = None,
        created: str | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> ShardPlan:
        """Cut rows into shards of one size, but for the rest.

        Parameters
        ----------
        metric, shape, dtype
            Of the corpus.
        n_shards, rows_per_shard : int
            One of them.
        created : str, optional
            Now, by default.
        source : mapping, optional

        Raises
        ------
        ParameterRefused
            With code ``shards-number`` if there would be none, more than rows, or more than 10,000.
        """
        n_samples = shape[0]
        if rows_per_shard is not None:
            if rows_per_shard < 1:
                raise _number_refused(f"shards of 1 row or more, got {rows_per_shard}")
            n_shards = -(-n_samples // rows_per_shard)
        if n_shards is None or not 1 <= n_shards <= min(n_samples, MOST_SHARDS):
            most = min(n_samples, MOST_SHARDS)
            raise _number_refused(f"1 to {most:,} shards of {n_samples:,} rows, got {n_shards}")
        if rows_per_shard is not None:
            ends = [min(n * rows_per_shard, n_samples) for n in range(n_shards + 1)]
        else:
            ends = [-(-n * n_samples // n_shards) for n in range(n_shards + 1)]
        when = created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(metric, *shape, dtype, tuple(ends), when, source or {})

    @property
    def n_shards(self) -> int:
        """How many there are."""
        return len(self.ends) - 1

    @cached_property
    def generation(self) -> str:
        """Which fit this is: 12 hexadecimal digits."""
        return sha256(self.to_bytes()).hexdigest()[:12]

    def rows_of(self, number: int) -> tuple[int, int]:
        """Return the first row of a shard, and the one after its last.

        Raises
        ------
        ParameterRefused
            With code ``shards-number`` if there is no such shard; they count from 0.
        """
        if not 0 <= number < self.n_shards:
            raise _number_refused(f"a shard from 0 to {self.n_shards - 1}, got {number}")
        return self.ends[number], self.ends[number + 1]

    def folder(self, number: int) -> str:
        """Return the name of a shard's directory."""
        return folder_of(self.generation, number)

    def is_like(self, other: ShardPlan) -> bool:
        """Tell whether two plans differ in nothing but the time."""
        return self._fields() | {"created": ""} == other._fields() | {"created": ""}

    def to_bytes(self) -> bytes:
        """Return it as a file."""
        return canonical.to_bytes(self._fields())

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> ShardPlan:
        """Take back what `to_bytes` gave.

        Raises
        ------
        ArtifactError
            ``artifact-damaged``, or ``artifact-invalid``.
        """
        if not canonical.has_right_digest(data):
            raise ArtifactError(
                "artifact-damaged", "Expected a plan as it was written, got another.", where=where
            )
        fields = canonical.from_bytes(data, where)
        try:
            if fields["format"] != _FORMAT:
                raise ValueError(fields["format"])
            ends = tuple(int(end) for end in fields["ends"])
            plan = cls(ends=ends, **{key: fields[key] for key in _KEYS})
            check_ends(plan.ends, plan.n_samples, where)
        except (LookupError, TypeError, ValueError) as error:
            if isinstance(error, ArtifactError):
                raise
            raise ArtifactError(
                "artifact-invalid", f"Expected the plan of shards, got none ({error}).", where=where
            ) from error
        return plan

    def _fields(self) -> dict[str, Any]:
        return {
            **{key: getattr(self, key) for key in _KEYS},
            "source": dict(self.source),
            "ends": list(self.ends),
            "format": _FORMAT,
        }


def check_ends(ends: Sequence[int], n_samples: int, where: str) -> None:
    """Refuse ranges that are none.

    Raises
    ------
    ArtifactError
        With code ``artifact-invalid``.
    """
    rising = all(start < stop for start, stop in pairwise(ends))
    if len(ends) < 2 or not rising or (ends[0], ends[-1]) != (0, n_samples):
        raise ArtifactError(
            "artifact-invalid",
            f"Expected ends of shards that rise from 0 to {n_samples}.",
            where=where,
        )


def _number_refused(expected: str) -> ParameterRefused:
    return ParameterRefused("shards-number", f"Expected {expected}.")
