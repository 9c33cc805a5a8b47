"""Shards of this process of which some are as good as lost."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

from kneighbors.artifact import open_artifact
from kneighbors.errors import ClusterError
from kneighbors.shards import LocalExecutor
from kneighbors.shards.opening import read_manifest


class Losing(LocalExecutor):
    """An executor that refuses what is asked of shards that are `lost`, as a cluster does.

    Parameters
    ----------
    path : Path
        An artifact in shards.

    Attributes
    ----------
    lost : set of int
    asked : list of int
        The shards of all tasks so far.
    """

    def __init__(self, path: Path) -> None:
        self._entries = read_manifest(path).shards
        super().__init__([open_artifact(path / one.folder) for one in self._entries])
        self.lost: set[int] = set()
        self.asked: list[int] = []

    def submit(self, shard: int, task: Any) -> Future[Any]:
        """Begin a task."""
        self.asked.append(shard)
        if shard not in self.lost:
            return super().submit(shard, task)
        entry = self._entries[shard]
        rows = f"{entry.first_row} to {entry.stop - 1}"
        future: Future[Any] = Future()
        future.set_exception(ClusterError("shard-unavailable", f"Expected the rows {rows}."))
        return future
