"""An artifact in shards, searched on a cluster."""

from __future__ import annotations

from pathlib import Path

from kneighbors.cluster.executor import RayExecutor
from kneighbors.errors import ArtifactError
from kneighbors.shards.opening import ShardedArtifact, is_sharded, open_sharded


def open_on_cluster(
    path: str | Path, address: str = "auto", *, replicas: int = 1
) -> ShardedArtifact:
    """Open an artifact in shards whose searches run on a cluster.

    Parameters
    ----------
    path : str or Path
        The directory, at the same path on every machine and on this one, which reads ids,
        attributes and single vectors from it.
    address : str, default="auto"
        As of `kneighbors.cluster.connect`.
    replicas : int, default=1
        Copies of each shard.

    Returns
    -------
    ShardedArtifact
        Its answers are those of one machine, to the bit.

    Raises
    ------
    ArtifactError
        ``artifact-unknown`` where there are no shards, and as `kneighbors.shards.open_sharded`.
    ClusterError
        As `RayExecutor`.
    """
    source = Path(path).resolve()
    if not is_sharded(source):
        raise ArtifactError(
            "artifact-unknown",
            "Expected an artifact in shards, got none.",
            where=str(source),
            hint="Train with --shards.",
        )
    executor = RayExecutor(source, address, replicas=replicas)
    try:
        return open_sharded(source, executor=executor)
    except BaseException:
        executor.close()
        raise
