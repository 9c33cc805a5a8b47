"""What holds a shard on a machine of the cluster: an actor with one opened artifact."""

from __future__ import annotations

import os
from typing import Any

from kneighbors.artifact import Artifact
from kneighbors.cluster.home import Home
from kneighbors.errors import ArtifactError, KNeighborsError
from kneighbors.shards.manifest import ShardEntry, ShardsManifest
from kneighbors.shards.member import open_shard

#: A task's result, or why there is none.
Outcome = tuple[Any, KNeighborsError | None]


class ShardHost:
    """One shard, opened; made an actor by `kneighbors.cluster.placing`.

    What a task refuses is returned, not raised: it is the shard's answer, while whatever is raised
    says that the host itself is in trouble.

    Parameters
    ----------
    home : Home
        Where this machine gets the shard.
    entry : ShardEntry
    manifest : ShardsManifest
    version : str
        Of the package that asks.
    """

    def __init__(
        self, home: Home, entry: ShardEntry, manifest: ShardsManifest, version: str
    ) -> None:
        from kneighbors import __version__

        self._failure: KNeighborsError | None = None
        if version != __version__:
            self._failure = ArtifactError(
                "cluster-version",
                f"Expected kneighbors {version} on every machine, got {__version__}.",
                where=os.uname().nodename,
                hint="Install the same version everywhere.",
            )
            return
        try:
            self._artifact = _opened(home, entry, manifest)
            self._artifact.index.warm_up()
        except KNeighborsError as error:
            self._failure = error

    def check(self) -> KNeighborsError | None:
        """Return why the shard is not open, or None; answers as soon as the host is up."""
        return self._failure

    def process(self) -> int:
        """Return the number of the process."""
        return os.getpid()

    def run(self, task: Any) -> Outcome:
        """Do a task with the shard."""
        if self._failure is not None:
            return None, self._failure
        try:
            return task(self._artifact), None
        except KNeighborsError as error:
            return None, error


def _opened(home: Home, entry: ShardEntry, manifest: ShardsManifest) -> Artifact:
    """Open a shard; a copy of an earlier day that is damaged is brought anew."""
    path, is_fresh = home.fetch(manifest, entry)
    try:
        return open_shard(path, entry, manifest)
    except ArtifactError:
        if is_fresh:
            raise
    home.discard(entry)
    return open_shard(home.fetch(manifest, entry)[0], entry, manifest)
