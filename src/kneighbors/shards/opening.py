"""Opening what is at a path, whether it is one artifact or one in shards."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from kneighbors.artifact import Artifact, open_artifact
from kneighbors.artifact.described import Described
from kneighbors.artifact.directory import Directory
from kneighbors.artifact.names import SHARDS
from kneighbors.artifact.publishing import resolved
from kneighbors.errors import ArtifactError, StorageError
from kneighbors.items.lists import Lists
from kneighbors.search.rows import Rows
from kneighbors.shards.executor import Executor, LocalExecutor
from kneighbors.shards.ids import joined_catalog
from kneighbors.shards.index import ShardedIndex
from kneighbors.shards.manifest import MAX_BYTES, ShardEntry, ShardsManifest
from kneighbors.shards.member import open_shard
from kneighbors.shards.rows import JoinedRows
from kneighbors.storage import translated

#: How often shards are opened anew that are replaced while they are being opened.
_ATTEMPTS = 5


class ShardedArtifact(Artifact):
    """An opened artifact in shards; what an `Artifact` has, over all of them.

    Parameters
    ----------
    path : Path
        The directory.
    manifest : ShardsManifest
    shards : sequence of Artifact or Described
        What the rows of each are.
    rows : sequence of Rows
        The vectors of each.
    executor : Executor
        Where they are searched.
    """

    def __init__(
        self,
        path: Path,
        manifest: ShardsManifest,
        shards: Sequence[Artifact | Described],
        rows: Sequence[Rows],
        executor: Executor,
    ) -> None:
        _demand_alike(shards)
        joined = JoinedRows(rows)
        index = ShardedIndex(joined, manifest.metric, manifest.plan, manifest.shards, executor)
        super().__init__(
            path,
            manifest,
            index,
            joined_catalog([shard.catalog for shard in shards]),
            shards[0].vocabulary,
            _joined_lists(shards, manifest.shards),
        )
        self._executor = executor

    def close(self) -> None:
        """Let go of all shards."""
        super().close()
        self._executor.close()


def open_saved(
    path: str | os.PathLike[str],
    *,
    threads: int = 1,
    require_signature: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Artifact:
    """Open what is at a path: an artifact, an archive of one, or an artifact in shards.

    Parameters
    ----------
    path : str or path
        A directory or a ``.tar.gz``.
    threads : int, default=1
        Shards that are searched at the same time.
    require_signature : str or path, optional
        File of public keys; shards have no signatures and are refused with one.
    options
        As of `kneighbors.artifact.open_artifact`.

    Raises
    ------
    StorageError, ArtifactError
        As `open_sharded`, or `kneighbors.artifact.open_artifact`.
    """
    source = resolved(path)
    if not is_sharded(source):
        return open_artifact(path, require_signature=require_signature, **options)
    if require_signature is not None:
        raise ArtifactError(
            "shards-unsupported",
            "Expected a signature, got an artifact in shards, which have none.",
            where=str(source),
        )
    return open_sharded(source, threads=threads, **options)


def is_sharded(path: Path) -> bool:
    """Tell whether a directory holds an artifact in shards."""
    with translated(path):
        return (path / SHARDS).is_file()


def open_sharded(
    path: str | os.PathLike[str],
    *,
    threads: int = 1,
    executor: Executor | None = None,
    **options: Any,
) -> ShardedArtifact:
    """Open an artifact in shards.

    Parameters
    ----------
    path : str or path
        The directory with ``shards.json``.
    threads : int, default=1
        Shards that are searched at the same time.
    executor : Executor, optional
        Where they are searched instead; the shards are opened here as well, for ids, attributes
        and single vectors.
    options
        As of `kneighbors.artifact.open_artifact`, for each shard.

    Returns
    -------
    ShardedArtifact

    Raises
    ------
    ArtifactError
        ``artifact-unknown`` without a ``shards.json``; ``shards-incomplete`` where a shard is
        missing; ``shards-generation`` where one is of another fit; ``shards-overlap`` where rows
        of two overlap or are missing; ``shards-differ`` where they are not of one model; and what
        a single artifact is refused for.
    StorageError
        If something cannot be read.

    Notes
    -----
    The resident parts of all shards are read and hashed; vectors are mapped.
    """
    source = resolved(path)
    for _ in range(_ATTEMPTS):
        manifest, seen = read_document(source)
        try:
            return _open(source, manifest, threads, executor, options)
        except (ArtifactError, StorageError):
            # Of an artifact that is replaced, the old shards vanish one after the other.
            if read_document(source)[1] == seen:
                raise
    return _open(source, read_manifest(source), threads, executor, options)


def read_manifest(path: Path) -> ShardsManifest:
    """Return what ``shards.json`` in a directory says; errors as of `open_sharded`."""
    return read_document(path)[0]


def read_document(path: Path) -> tuple[ShardsManifest, bytes]:
    """Return what ``shards.json`` in a directory says, and its text."""
    try:
        file = Directory(path).open(SHARDS)
    except FileNotFoundError:
        raise ArtifactError(
            "artifact-unknown",
            f"Expected an artifact in shards, got a directory without {SHARDS}.",
            where=str(path),
        ) from None
    if file.bytes > MAX_BYTES:
        raise ArtifactError(
            "artifact-too-large",
            f"Expected a {SHARDS} of at most {MAX_BYTES:,} bytes, got {file.bytes:,}.",
            where=file.where,
        )
    data = file.read(0, file.bytes)
    return ShardsManifest.from_bytes(data, file.where), data


def _open(
    path: Path,
    manifest: ShardsManifest,
    threads: int,
    executor: Executor | None,
    options: Mapping[str, Any],
) -> ShardedArtifact:
    with ExitStack() as stack:
        artifacts = []
        for entry in manifest.shards:
            artifact = open_shard(path / entry.folder, entry, manifest, **options)
            artifacts.append(stack.enter_context(artifact))
        chosen = LocalExecutor(artifacts, threads) if executor is None else executor
        rows = [artifact.index.rows for artifact in artifacts]
        opened = ShardedArtifact(path, manifest, artifacts, rows, chosen)
        stack.pop_all()
    return opened


def _demand_alike(shards: Sequence[Artifact | Described]) -> None:
    """Refuse shards whose attributes are others."""
    has_items = shards[0].catalog.has_items
    for shard in shards:
        if shard.catalog.has_items != has_items:
            raise ArtifactError(
                "shards-differ",
                "Expected attributes in all shards or in none.",
                where=str(shard.path),
            )


def _joined_lists(artifacts: Sequence[Artifact | Described], shards: Sequence[ShardEntry]) -> Lists:
    rows: Mapping[str, list[Any]] = {name: [] for name in artifacts[0].lists.names}
    for artifact, entry in zip(artifacts, shards, strict=True):
        for name, found in rows.items():
            found.append(artifact.lists.rows(name) + entry.first_row)
    return Lists({name: np.concatenate(found) for name, found in rows.items()})
