"""``shards.json``: what a sharded artifact says of itself and of each shard.

It is read as strictly as the manifest of an artifact, whose fields it has; where that names parts,
this names shards, with the rows that are theirs, the SHA-256 of their manifests, and the balls in
which their rows lie.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kneighbors import __version__
from kneighbors.artifact import Manifest, canonical
from kneighbors.artifact.manifest import Part
from kneighbors.artifact.names import SHARDS
from kneighbors.artifact.rules import VECTOR_DTYPES
from kneighbors.errors import ArtifactError
from kneighbors.search.metrics import METRICS
from kneighbors.shards.bounds import Ball
from kneighbors.shards.names import FOLDER, MOST_SHARDS
from kneighbors.shards.plan import ShardPlan

FORMAT = "kneighbors-shards"
FORMAT_VERSION = 1
#: A thousand shards of 768 dimensions have 8 MB of centres.
MAX_BYTES = 1 << 28

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UPDATE_HINT = "Install a newer version of kneighbors, or train again with this one."


@dataclass(frozen=True, eq=False)
class ShardEntry:
    """What is known of a shard without opening it.

    Parameters
    ----------
    folder : str
        Its directory.
    first_row, rows : int
        Which rows of the whole corpus it has.
    manifest_sha256 : str
        Of its ``manifest.json``, 64 hexadecimal digits.
    bytes : int
        Length of its parts.
    ball : Ball
        Where its rows lie.
    """

    folder: str
    first_row: int
    rows: int
    manifest_sha256: str
    bytes: int
    ball: Ball

    @property
    def stop(self) -> int:
        """The row after its last."""
        return self.first_row + self.rows

    def fields(self) -> dict[str, Any]:
        """Return what JSON holds of it."""
        return {
            "ball": self.ball.fields(),
            "bytes": self.bytes,
            "first_row": self.first_row,
            "folder": self.folder,
            "manifest_sha256": self.manifest_sha256,
            "rows": self.rows,
        }

    @classmethod
    def from_fields(cls, fields: Any, n_features: int, where: str) -> ShardEntry:
        """Take back what `fields` gave.

        Raises
        ------
        ArtifactError
            ``artifact-invalid``.
        """
        try:
            counts = {key: fields[key] for key in ("bytes", "first_row", "rows")}
            if not all(type(count) is int and count >= 0 for count in counts.values()):
                raise ValueError("a count that is none")
            if not FOLDER.fullmatch(fields["folder"]) or not counts["rows"]:
                raise ValueError("a folder or rows")
            if not _SHA256.fullmatch(fields["manifest_sha256"]):
                raise ValueError("a SHA-256")
            ball = Ball.from_fields(fields["ball"], n_features)
            names = {key: fields[key] for key in ("folder", "manifest_sha256")}
            return cls(ball=ball, **names, **counts)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(
                "artifact-invalid", f"Expected a shard, got something else ({error}).", where=where
            ) from error


@dataclass(frozen=True)
class ShardsManifest(Manifest):
    """What a sharded artifact says of itself; its parts are its shards.

    Parameters
    ----------
    generation : str
        Of the fit: 12 hexadecimal digits, which are in the names of the directories.
    shards : tuple of ShardEntry
        In the order of their rows.
    """

    generation: str = ""
    shards: tuple[ShardEntry, ...] = field(default=())

    @classmethod
    def of(cls, plan: ShardPlan, shards: Sequence[ShardEntry], id_type: str) -> ShardsManifest:
        """Return the manifest of shards that were written to a plan."""
        return cls(
            metric=plan.metric,
            n_samples=plan.n_samples,
            n_features=plan.n_features,
            dtype=plan.dtype,
            id_type=id_type,
            plan={"engine": "shards", "reason": f"{plan.n_shards} shards, exact in each"},
            parts=_parts_of(shards, plan.n_features, plan.dtype),
            block_bytes=1,
            created=plan.created,
            writer={"kneighbors": __version__, "numpy": np.__version__},
            source=plan.source,
            generation=plan.generation,
            shards=tuple(shards),
        )

    def fields(self) -> dict[str, Any]:
        """Return what the text holds, its digest left away."""
        fields = super().fields()
        for name in ("block_bytes", "parts"):
            del fields[name]
        return fields | {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "generation": self.generation,
            "shards": [shard.fields() for shard in self.shards],
        }

    @classmethod
    def from_bytes(cls, data: bytes, where: str = SHARDS) -> ShardsManifest:
        """Return what a ``shards.json`` says, if every rule is kept.

        Raises
        ------
        ArtifactError
            ``artifact-unknown``, ``artifact-damaged``, ``artifact-newer`` or ``artifact-invalid``;
            ``shards-overlap`` if the rows of shards overlap or leave some out.
        """
        fields = canonical.from_bytes(data, where)
        if fields.get("format") != FORMAT:
            raise ArtifactError(
                "artifact-unknown", f"Expected {SHARDS}, got another file.", where=where
            )
        _check_version(fields, where)
        if not canonical.has_right_digest(data):
            raise ArtifactError(
                "artifact-damaged",
                f"Expected a {SHARDS} that agrees with its digest, got one that was changed.",
                where=where,
                hint="Restore the artifact, or train again.",
            )
        _check_fields(fields, where)
        shards = tuple(
            ShardEntry.from_fields(one, fields["n_features"], f"{where}, shards[{number}]")
            for number, one in enumerate(fields["shards"])
        )
        check_ranges(shards, fields["n_samples"], where)
        manifest = cls(
            parts=_parts_of(shards, fields["n_features"], fields["dtype"]),
            block_bytes=1,
            shards=shards,
            **{key: fields[key] for key in _FIELDS},
        )
        manifest.__dict__["digest"] = fields["digest"]
        return manifest


_FIELDS = {
    "created": str,
    "dtype": str,
    "generation": str,
    "id_type": str,
    "metric": str,
    "n_features": int,
    "n_samples": int,
    "plan": dict,
    "source": dict,
    "writer": dict,
}


def check_ranges(shards: Sequence[ShardEntry], n_samples: int, where: str) -> None:
    """Refuse shards whose rows overlap, or leave rows out.

    Raises
    ------
    ArtifactError
        With code ``shards-overlap``.
    """
    row = 0
    for shard in shards:
        if shard.first_row != row:
            kind = "overlap" if shard.first_row < row else "leave rows out"
            raise ArtifactError(
                "shards-overlap",
                f"Expected the shard {shard.folder} to begin with row {row}, got row "
                f"{shard.first_row}: the ranges {kind}.",
                where=where,
                hint="Give shards of one fit, in their order.",
            )
        row = shard.stop
    if row != n_samples:
        raise ArtifactError(
            "shards-overlap",
            f"Expected shards of {n_samples} rows together, got {row}.",
            where=where,
            hint="Give all shards of the fit.",
        )


def _parts_of(shards: Sequence[ShardEntry], n_features: int, dtype: str) -> dict[str, Part]:
    return {
        shard.folder: Part(
            name=shard.folder,
            role="shard",
            file=shard.folder,
            bytes=shard.bytes,
            sha256=shard.manifest_sha256,
            dtype=VECTOR_DTYPES[dtype],
            shape=(shard.rows, n_features),
        )
        for shard in shards
    }


def _check_version(fields: Mapping[str, Any], where: str) -> None:
    version, requires = fields.get("format_version"), fields.get("requires")
    if version != FORMAT_VERSION or requires != []:
        raise ArtifactError(
            "artifact-newer",
            f"Expected format version {FORMAT_VERSION} that needs nothing new, got {version!r:.20} "
            f"and {requires!r:.80}.",
            where=where,
            hint=_UPDATE_HINT,
        )


def _check_fields(fields: Mapping[str, Any], where: str) -> None:
    for key, kind in _FIELDS.items():
        if type(fields.get(key)) is not kind:
            raise ArtifactError(
                "artifact-invalid",
                f"Expected {kind.__name__}, got {fields.get(key)!r:.80}.",
                where=f"{where}, {key}",
            )
    known = (
        fields["metric"] in METRICS
        and fields["dtype"] in VECTOR_DTYPES
        and fields["id_type"] in ("row", "integer", "string")
        and fields["n_features"] >= 1
        and isinstance(fields.get("shards"), list)
        and 1 <= len(fields["shards"]) <= MOST_SHARDS
    )
    if not known:
        raise ArtifactError(
            "artifact-invalid",
            "Expected a metric, a dtype, a kind of ids, a width and shards that are known.",
            where=where,
        )
