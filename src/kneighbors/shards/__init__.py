"""An artifact in several: shards of consecutive rows, each an ordinary artifact, searched as one.

`open_saved` opens what is at a path, sharded or not; `open_sharded` a directory with a
``shards.json``. `write_shard` writes one shard alone, `publish_shards` makes an artifact of those
that were written. Tasks run where a shard is opened: an `Executor` says where that is.
`docs/explanation/shards.md` says why the answers are those of one index. Nothing here imports
scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kneighbors.shards.bounds import Ball
    from kneighbors.shards.executor import Executor, LocalExecutor
    from kneighbors.shards.index import ShardedIndex
    from kneighbors.shards.manifest import ShardEntry, ShardsManifest
    from kneighbors.shards.opening import open_saved, open_sharded
    from kneighbors.shards.plan import ShardPlan
    from kneighbors.shards.publishing import publish_shards
    from kneighbors.shards.tasks import Nearest, TakeRows, Task, Within
    from kneighbors.shards.verification import verify_saved
    from kneighbors.shards.writing import write_shard

_HOME_OF = {
    "Ball": "bounds",
    "Executor": "executor",
    "LocalExecutor": "executor",
    "Nearest": "tasks",
    "ShardEntry": "manifest",
    "ShardPlan": "plan",
    "ShardedIndex": "index",
    "ShardsManifest": "manifest",
    "TakeRows": "tasks",
    "Task": "tasks",
    "Within": "tasks",
    "open_saved": "opening",
    "open_sharded": "opening",
    "publish_shards": "publishing",
    "verify_saved": "verification",
    "write_shard": "writing",
}

__all__ = [
    "Ball",
    "Executor",
    "LocalExecutor",
    "Nearest",
    "ShardEntry",
    "ShardPlan",
    "ShardedIndex",
    "ShardsManifest",
    "TakeRows",
    "Task",
    "Within",
    "open_saved",
    "open_sharded",
    "publish_shards",
    "verify_saved",
    "write_shard",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'kneighbors.shards' has no attribute {name!r}")
    value = getattr(import_module(f"kneighbors.shards.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
