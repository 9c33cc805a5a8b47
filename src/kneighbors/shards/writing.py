"""One shard, written alone: an ordinary artifact that says of which fit and of which rows it is."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from kneighbors.artifact import Manifest, save
from kneighbors.artifact.directory import Directory
from kneighbors.artifact.names import MANIFEST
from kneighbors.artifact.opened import Opened
from kneighbors.errors import ArtifactError
from kneighbors.items import Catalog
from kneighbors.items.lists import Lists
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.search.index import ExactIndex
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import Rows
from kneighbors.shards.bounds import Ball
from kneighbors.shards.manifest import ShardEntry
from kneighbors.shards.plan import ShardPlan
from kneighbors.storage import translated


def write_shard(
    plan: ShardPlan,
    number: int,
    rows: Rows,
    catalog: Catalog | None,
    target: Path,
    *,
    vocabulary: Vocabulary | None = None,
    lists: Lists | None = None,
    progress: Progress = ignore,
) -> ShardEntry:
    """Fit and save one shard, into a directory of its own.

    Run again, after whatever ended it, it gives the same bytes; a shard that is there already is
    left as it is, and not fitted again.

    Parameters
    ----------
    plan : ShardPlan
    number : int
        Which shard, from 0.
    rows : Rows
        The vectors of this shard alone, having passed the gate.
    catalog : Catalog or None
        What the rows of this shard are; None where row numbers are the ids.
    target : Path
        Directory of the sharded artifact, or any other that its shards are copied from later.
    vocabulary : Vocabulary, optional
        Of all shards, the first one has it.
    lists : Lists, optional
        Lists of rows of this shard.
    progress : Progress, optional

    Returns
    -------
    ShardEntry
        What `publish_shards` is given for it.

    Raises
    ------
    ArtifactError
        With code ``shards-differ`` if the rows are not those that the plan has for the shard.
    StorageError
        As `kneighbors.artifact.save`.

    Notes
    -----
    Reads the rows four times. Memory: the head of the shard's index, its ids, and a block of
    16 MiB.
    """
    first, stop = plan.rows_of(number)
    if rows.shape != (stop - first, plan.n_features) or rows.dtype.name != plan.dtype:
        raise ArtifactError(
            "shards-differ",
            f"Expected {stop - first} x {plan.n_features} {plan.dtype} for the shard {number}, got "
            f"{rows.shape[0]} x {rows.shape[1]} {rows.dtype.name}: the corpus has changed.",
            hint="Plan the fit anew.",
        )
    path = target / plan.folder(number)
    found = find_shard(plan, number, target)
    if found is not None:
        return found
    index = ExactIndex.build(
        rows, plan.metric, random_state=int(plan.source.get("seed", 0)), progress=progress
    )
    ball = Ball.around(rows, plan.metric)
    place = {"generation": plan.generation, "number": number, "first_row": first}
    with translated(target):
        target.mkdir(parents=True, exist_ok=True)
    save(
        path,
        index,
        catalog,
        vocabulary=vocabulary,
        lists=lists,
        source={**_source_of(plan), "shard": {**place, "ball": ball.fields()}},
        created=plan.created,
        progress=progress,
    )
    return read_entry(path)


def find_shard(plan: ShardPlan, number: int, target: Path) -> ShardEntry | None:
    """Return a shard of the plan that is in a directory already; None if there is none."""
    path = target / plan.folder(number)
    return read_entry(path) if (path / MANIFEST).exists() else None


def read_entry(path: Path) -> ShardEntry:
    """Return what the manifest of a shard says of it.

    Raises
    ------
    ArtifactError
        ``artifact-invalid`` if it is no shard, or what its manifest is refused for.
    StorageError
        If it cannot be read.
    """
    opened = Opened(Directory(path))
    manifest = opened.manifest
    place = place_of(manifest, str(path))
    fields = {
        "ball": place["ball"],
        "bytes": manifest.total_bytes,
        "first_row": place["first_row"],
        "folder": path.name,
        "manifest_sha256": sha256(opened.manifest_bytes).hexdigest(),
        "rows": manifest.n_samples,
    }
    return ShardEntry.from_fields(fields, manifest.n_features, str(path))


def place_of(manifest: Manifest, where: str) -> dict[str, Any]:
    """Return which shard a manifest is that of.

    Raises
    ------
    ArtifactError
        With code ``artifact-invalid`` if it is that of none.
    """
    place = manifest.source.get("shard")
    kinds = {"generation": str, "number": int, "first_row": int, "ball": dict}
    if not isinstance(place, dict) or any(
        type(place.get(key)) is not kind for key, kind in kinds.items()
    ):
        raise ArtifactError(
            "artifact-invalid", "Expected a shard, got an artifact of its own.", where=where
        )
    return place


def _source_of(plan: ShardPlan) -> dict[str, Any]:
    """Return what each shard says of where it came from; the files are in ``shards.json``."""
    return {key: value for key, value in plan.source.items() if key != "files"}
