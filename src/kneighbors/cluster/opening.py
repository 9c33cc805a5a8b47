"""An artifact in shards, searched on a cluster."""

from __future__ import annotations

import os
from pathlib import Path

from kneighbors.cluster.executor import RayExecutor
from kneighbors.cluster.moving import PERIOD_S
from kneighbors.errors import ArtifactError
from kneighbors.generations.loading import opened
from kneighbors.generations.origin import Origin
from kneighbors.shards.elsewhere import open_elsewhere
from kneighbors.shards.opening import ShardedArtifact, is_sharded, open_sharded


def open_on_cluster(
    path: str | os.PathLike[str],
    address: str = "auto",
    *,
    replicas: int = 1,
    rebalance_s: float = PERIOD_S,
    cache_dir: str | os.PathLike[str] | None = None,
) -> ShardedArtifact:
    """Open an artifact in shards whose searches run on a cluster.

    Parameters
    ----------
    path : str or path
        A directory, at the same path on every machine and on this one, which reads ids,
        attributes and single vectors from it. Or a place: a directory, or ``s3://bucket/prefix``,
        from which each machine copies the shards that it is to hold, and this one ids and
        attributes.
    address : str, default="auto"
        As of `kneighbors.cluster.connect`.
    replicas : int, default=1
        Copies of each shard.
    rebalance_s : float, default=10.0
        As of `RayExecutor`.
    cache_dir : str or path, optional
        Where this machine copies ids and attributes of a place on S3 to, as of
        `kneighbors.generations.Follower`; the others have a directory of their own.

    Returns
    -------
    ShardedArtifact
        Its answers are those of one machine, to the bit.

    Raises
    ------
    ArtifactError
        ``artifact-unknown`` where there are no shards, and as `kneighbors.shards.open_sharded`.
    StorageError
        If the place cannot be read, here or on a machine that is to hold a shard.
    ClusterError
        As `RayExecutor`.
    """
    return opened(
        path,
        lambda found: _open(Path(found).resolve(), address, replicas, rebalance_s),
        cache_dir,
        vectors=False,
    )


def _open(source: Path, address: str, replicas: int, rebalance_s: float) -> ShardedArtifact:
    if not is_sharded(source):
        raise ArtifactError(
            "artifact-unknown",
            "Expected an artifact in shards, got none.",
            where=str(source),
            hint="Train with --shards.",
        )
    executor = RayExecutor(source, address, replicas=replicas, rebalance_s=rebalance_s)
    try:
        if Origin.read(source) is None:
            return open_sharded(source, executor=executor)
        return open_elsewhere(source, executor)
    except BaseException:
        executor.close()
        raise
