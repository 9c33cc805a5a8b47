"""Making an artifact of shards that were written: their manifest of manifests, last of all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from kneighbors.artifact import open_artifact
from kneighbors.artifact.names import SHARDS
from kneighbors.errors import ArtifactError
from kneighbors.shards.manifest import ShardEntry, ShardsManifest, check_ranges
from kneighbors.shards.names import FOLDER, PLAN
from kneighbors.shards.plan import ShardPlan
from kneighbors.shards.unique import refuse_doubled
from kneighbors.shards.writing import read_entry
from kneighbors.storage import Address, translated
from kneighbors.storage.local import writing_whole


def publish_shards(plan: ShardPlan, target: Path) -> ShardsManifest:
    """Make an artifact of the shards of a plan, which are all in a directory.

    ``shards.json`` appears whole or not at all; until then the artifact that was there before
    answers. Then the shards of other fits are removed.

    Parameters
    ----------
    plan : ShardPlan
    target : Path
        Directory of the shards.

    Raises
    ------
    ArtifactError
        ``shards-incomplete`` if a shard is missing, ``shards-overlap`` or ``shards-differ`` if
        they do not go together.
    ItemsRefused
        ``ids-doubled`` if an id is in two rows.
    StorageError
        If something cannot be read or written.
    """
    entries = [_entry(plan, number, target) for number in range(plan.n_shards)]
    manifest = checked_manifest(plan, entries, target)
    with writing_whole(Address.parse(target / SHARDS)) as file:
        file.write(manifest.to_bytes())
    remove_others(target, plan.generation)
    return manifest


def checked_manifest(
    plan: ShardPlan, entries: Sequence[ShardEntry], target: Path
) -> ShardsManifest:
    """Return the manifest of shards, once they are found to go together; errors as above."""
    check_ranges(entries, plan.n_samples, str(target))
    kinds: dict[str, str] = {}
    for entry in entries:
        with open_artifact(target / entry.folder) as artifact:
            kinds.setdefault(artifact.manifest.id_type, entry.folder)
    if len(kinds) > 1:
        raise ArtifactError(
            "shards-differ",
            "Expected ids of one kind in all shards, got "
            + " and ".join(f"{kind} in {folder}" for kind, folder in kinds.items())
            + ".",
            where=str(target),
        )
    refuse_doubled(entries, target)
    return ShardsManifest.of(plan, entries, next(iter(kinds)))


def remove_others(target: Path, generation: str | None) -> None:
    """Remove shards of other generations, and the plan of what is done or given up."""
    with translated(target):
        for path in target.iterdir():
            found = FOLDER.fullmatch(path.name)
            if found and found[1] != generation and path.is_dir():
                shutil.rmtree(path)
        (target / PLAN).unlink(missing_ok=True)


def _entry(plan: ShardPlan, number: int, target: Path) -> ShardEntry:
    path = target / plan.folder(number)
    if not path.is_dir():
        raise ArtifactError(
            "shards-incomplete",
            f"Expected the shard {number} of {plan.n_shards}, found nothing.",
            where=str(path),
            hint="Write it, then publish again.",
        )
    return read_entry(path)
