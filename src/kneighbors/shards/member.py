"""One shard, if it is the one that ``shards.json`` means."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from kneighbors.artifact import Artifact, Manifest, open_artifact
from kneighbors.artifact.directory import Directory
from kneighbors.artifact.opened import Opened
from kneighbors.errors import ArtifactError
from kneighbors.shards.manifest import ShardEntry, ShardsManifest
from kneighbors.shards.writing import place_of

_HINT = "Restore the directory, or train again."


def open_shard(path: Path, entry: ShardEntry, manifest: ShardsManifest, **options: Any) -> Artifact:
    """Open one shard, if it is the one that ``shards.json`` means.

    Parameters
    ----------
    path : Path
        Its directory, wherever it is.
    entry : ShardEntry
    manifest : ShardsManifest
    options
        As of `kneighbors.artifact.open_artifact`.

    Raises
    ------
    ArtifactError
        As `kneighbors.shards.open_sharded`.
    """
    if not path.is_dir():
        raise missing_shard(entry, str(path))
    artifact = open_artifact(path, **options)
    found = artifact.manifest
    check_member(found, sha256(found.to_bytes()).hexdigest(), entry, manifest, str(path))
    if not artifact.index.is_exact:
        raise ArtifactError(
            "shards-unsupported", "Expected a shard that is exact, got a graph.", where=str(path)
        )
    return artifact


def open_member(path: Path, entry: ShardEntry, manifest: ShardsManifest) -> Opened:
    """Return the directory of a shard, of which the manifest was read and nothing else.

    Raises
    ------
    ArtifactError
        As `open_shard`, as far as the manifest tells.
    """
    if not path.is_dir():
        raise missing_shard(entry, str(path))
    opened = Opened(Directory(path))
    digest = sha256(opened.manifest_bytes).hexdigest()
    check_member(opened.manifest, digest, entry, manifest, str(path))
    return opened


def check_member(
    found: Manifest, digest: str, entry: ShardEntry, manifest: ShardsManifest, where: str
) -> None:
    """Refuse the manifest of another shard.

    Parameters
    ----------
    found : Manifest
        Of the shard.
    digest : str
        SHA-256 of its text.
    entry : ShardEntry
    manifest : ShardsManifest
    where : str
        Where it was found.

    Raises
    ------
    ArtifactError
        ``shards-generation`` or ``shards-differ``.
    """
    place = place_of(found, where)
    if place["generation"] != manifest.generation:
        raise ArtifactError(
            "shards-generation",
            f"Expected a shard of the generation {manifest.generation}, got one of "
            f"{place['generation']}.",
            where=where,
            hint=_HINT,
        )
    facts = (found.metric, found.n_features, found.dtype, found.id_type, found.n_samples)
    wanted = (manifest.metric, manifest.n_features, manifest.dtype, manifest.id_type, entry.rows)
    if facts != wanted:
        raise ArtifactError(
            "shards-differ", f"Expected {_shown(wanted)}, got {_shown(facts)}.", where=where
        )
    if digest != entry.manifest_sha256:
        raise ArtifactError(
            "shards-generation",
            "Expected the shard that was published, got one that was written anew: its manifest's "
            "SHA-256 differs.",
            where=where,
            hint=_HINT,
        )


def missing_shard(entry: ShardEntry, where: str) -> ArtifactError:
    """Return the refusal of a shard that is not there."""
    return ArtifactError(
        "shards-incomplete",
        f"Expected the shard of rows {entry.first_row} to {entry.stop - 1}, found nothing.",
        where=where,
        hint="Restore it, or build it again with kneighbors train --shard.",
    )


def _shown(facts: Sequence[Any]) -> str:
    metric, n_features, dtype, id_type, rows = facts
    return f"{rows} rows of {n_features} {dtype}, {metric}, ids: {id_type}"
