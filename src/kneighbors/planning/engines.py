"""What a shard of each engine holds, and how long it takes over a query."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from kneighbors.planning import constants as c
from kneighbors.planning.prices import Instance

_GRAPH_MOST_ROWS = (1 << 31) - 1
_LEAST_LOGARITHM = math.log(1000)


@dataclass(frozen=True)
class Service:
    """One way to answer on one instance.

    Parameters
    ----------
    seconds : float
        Of a batch, from its beginning to its end.
    batch : int
        Queries that share it.
    servers : int
        Batches at the same time.
    """

    seconds: float
    batch: int
    servers: int


@dataclass(frozen=True)
class Engine:
    """An engine, by bytes and seconds.

    Parameters
    ----------
    name, about : str
    recall : float
        That may be expected of it.
    scanned : callable
        Bytes in memory of a row of so many dimensions, for all but scoring.
    rescored : float
        Rows that a query scores from the vectors; 0 where those are what is scanned.
    services : callable
        Rows of a shard, dimensions and instance to the ways of answering.
    build : callable
        Rows and dimensions to vCPU seconds.
    most_rows : int
        Of a shard.
    """

    name: str
    about: str
    recall: float
    scanned: Callable[[int], float]
    rescored: float
    services: Callable[[float, int, Instance], list[Service]]
    build: Callable[[float, int], float]
    most_rows: int = _GRAPH_MOST_ROWS


def bandwidth(instance: Instance) -> float:
    """Return the bytes a second that all cores of an instance read from memory together."""
    return instance.vcpus * c.BANDWIDTH.value * c.CROWDED.value


def _exact(rows: float, dims: int, instance: Instance) -> list[Service]:
    read = rows * _float_bytes(dims) / bandwidth(instance)
    query = rows * dims * c.BATCH.value / instance.vcpus
    return [Service(max(read, size * query), size, 1) for size in (1, 2, 4, 8, 16, 32, 64)]


def _quantised(rows: float, dims: int, instance: Instance) -> list[Service]:
    length = rows * _code_bytes(dims)
    seconds = max(length / bandwidth(instance), length * c.CODE.value / instance.vcpus)
    return [Service(seconds, 1, 1)]


def _hnsw(rows: float, dims: int, instance: Instance) -> list[Service]:
    seconds = c.WALK.value * dims / c.WALK_DIMS * _depth(rows)
    return [Service(seconds, 1, instance.vcpus)]


def _depth(rows: float) -> float:
    """Return how much longer a walk is than among the rows that were measured."""
    return max(math.log(max(rows, 1)), _LEAST_LOGARITHM) / math.log(c.WALK_ROWS)


def _float_bytes(dims: int) -> float:
    return 4 * dims + c.OVERHEAD.value


def _code_bytes(dims: int) -> float:
    return dims + c.OVERHEAD.value


def _graph_bytes(dims: int) -> float:
    return -(-dims // 16) * 16 + c.LINKS.value + c.OVERHEAD.value


def _fit(rows: float, dims: int) -> float:
    return rows * dims * c.FIT.value


def _grow(rows: float, dims: int) -> float:
    return rows * c.WALK_BUILD.value * dims / c.WALK_DIMS * _depth(rows)


ENGINES = (
    Engine("exact", "float32 of all rows, queries in batches", 1.0, _float_bytes, 0, _exact, _fit),
    Engine(
        "quantised",
        "codes of a byte, one query at a time, the best scored from the vectors; exact as well",
        1.0,
        _code_bytes,
        c.RESCORED.value,
        _quantised,
        _fit,
    ),
    Engine(
        "hnsw",
        "a graph over codes of a byte, the best scored from the vectors",
        c.WALK_RECALL.value,
        _graph_bytes,
        c.CANDIDATES.value,
        _hnsw,
        _grow,
    ),
)
