"""An artifact in shards of which only ids and attributes are on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kneighbors.artifact.described import Described, open_described
from kneighbors.search.rows import FloatArray, RowArray
from kneighbors.shards.executor import Executor
from kneighbors.shards.manifest import ShardEntry, ShardsManifest
from kneighbors.shards.member import open_member
from kneighbors.shards.opening import ShardedArtifact, read_manifest
from kneighbors.shards.tasks import CheckRows, TakeRange, TakeRows


class ShardRows:
    """The vectors of a shard, asked for where it is opened, as `kneighbors.search.rows.Rows`.

    Parameters
    ----------
    executor : Executor
    number : int
        Of the shard.
    entry : ShardEntry
    manifest : ShardsManifest
    """

    def __init__(
        self, executor: Executor, number: int, entry: ShardEntry, manifest: ShardsManifest
    ) -> None:
        self._executor = executor
        self._number = number
        self._shape = (entry.rows, manifest.n_features)
        self._dtype = np.dtype(manifest.dtype)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of the elements."""
        return self._dtype

    def take(self, rows: RowArray) -> FloatArray:
        """Return copies of the given rows."""
        return self._executor.submit(self._number, TakeRows(rows)).result()

    def slice(self, start: int, stop: int) -> FloatArray:
        """Return copies of rows ``start`` to ``stop``."""
        return self._executor.submit(self._number, TakeRange(start, stop)).result()

    def check(self, start: int, stop: int) -> None:
        """Compare rows with their checksums, where they are."""
        self._executor.submit(self._number, CheckRows(start, stop)).result()


def open_elsewhere(path: Path, executor: Executor) -> ShardedArtifact:
    """Open ids and attributes of an artifact in shards, whose vectors an executor has.

    Parameters
    ----------
    path : Path
        Directory with ``shards.json`` and, of each shard, its manifest and the parts that say what
        its rows are.
    executor : Executor
        Has the shards, in their order.

    Raises
    ------
    ArtifactError, StorageError
        As `kneighbors.shards.open_sharded`, as far as these parts tell.
    """
    manifest = read_manifest(path)
    described: list[Described] = []
    rows = []
    for number, entry in enumerate(manifest.shards):
        open_member(path / entry.folder, entry, manifest)
        described.append(open_described(path / entry.folder))
        rows.append(ShardRows(executor, number, entry, manifest))
    return ShardedArtifact(path, manifest, described, rows, executor)
