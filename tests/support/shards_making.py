"""Small artifacts in shards, and the same rows unsharded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.shards import ShardPlan, publish_shards, write_shard
from kneighbors.shards.rows import SomeRows

WHEN = "2026-01-02T03:04:05Z"


def corpus(n_samples: int = 1200, seed: int = 0) -> NDArray[np.float32]:
    """Return rows that drift, so that shards lie apart, with copies in several shards."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_samples, 12)).astype(np.float32)
    X += (np.arange(n_samples) // 200)[:, np.newaxis].astype(np.float32)
    X[[5, n_samples // 2, n_samples - 3]] = X[7]
    return X


def plan_of(X: NDArray[Any], metric: str, n_shards: int = 5) -> ShardPlan:
    shape = (X.shape[0], X.shape[1])
    return ShardPlan.even(metric, shape, X.dtype.name, n_shards=n_shards, created=WHEN)


def write(
    target: Path,
    X: NDArray[Any],
    metric: str = "euclidean",
    *,
    n_shards: int = 5,
    ids: Any = None,
    items: Any = None,
) -> ShardPlan:
    """Write an artifact in shards."""
    plan = plan_of(X, metric, n_shards)
    for number in range(plan.n_shards):
        first, stop = plan.rows_of(number)
        part = None if items is None else {name: v[first:stop] for name, v in items.items()}
        own = None if ids is None else ids[first:stop]
        catalog = Catalog.from_data(stop - first, own, part)
        write_shard(plan, number, SomeRows(ArrayRows(X), first, stop), catalog, target)
    publish_shards(plan, target)
    return plan


def whole(X: NDArray[Any], metric: str = "euclidean") -> ExactIndex:
    return ExactIndex.build(ArrayRows(X), metric)
