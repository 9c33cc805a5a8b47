"""The same search on several machines: shards held by Ray's actors, and whoever asks them.

Nothing here searches: `kneighbors.shards` says what a shard is asked and how answers become one.
This package says where shards are, who is asked when one does not answer, and what is said when
nobody can. It needs the extra ``ray``.
"""

from kneighbors.cluster.building import build_shards
from kneighbors.cluster.connecting import connect
from kneighbors.cluster.executor import RayExecutor
from kneighbors.cluster.opening import open_on_cluster

__all__ = ["RayExecutor", "build_shards", "connect", "open_on_cluster"]
