"""One way to lay a corpus out: its shards, copies, instances, and what they would show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kneighbors.planning import constants as c
from kneighbors.planning import prices
from kneighbors.planning.engines import Engine, Service
from kneighbors.planning.places import Place
from kneighbors.planning.prices import Instance
from kneighbors.planning.queueing import load, waits
from kneighbors.planning.workload import Workload

#: Of an artifact in shards, as `kneighbors.shards` has it.
MOST_SHARDS = 10_000
#: Generations on a disk: a new one comes beside the old.
_GENERATIONS = 2
_GB = 1e9


@dataclass(frozen=True)
class Layout:
    """Shards of an engine at a place, one to an instance.

    Parameters
    ----------
    workload : Workload
    place : Place
    engine : Engine
    instance : Instance
    service : Service
    shards, copies : int
    on_disk : bool
        Whether the vectors, for scoring, stay on disk.
    """

    workload: Workload
    place: Place
    engine: Engine
    instance: Instance
    service: Service
    shards: int
    copies: int
    on_disk: bool

    @property
    def memory_bytes(self) -> float:
        """Of an instance, for its shard."""
        return memory_of(self.engine, self.workload, self.on_disk) / self.shards

    @property
    def disk_gb(self) -> float:
        """Of an instance."""
        return artifact_bytes(self.engine, self.workload) / self.shards * _GENERATIONS / _GB

    @property
    def reads(self) -> float:
        """Random reads a second of an instance's disk."""
        return self.engine.rescored * self.qps if self.on_disk else 0.0

    @property
    def qps(self) -> float:
        """Queries a second of an instance; each asks one copy of every shard."""
        return self.workload.qps / self.copies

    @property
    def fronts(self) -> int:
        """Machines that take queries to several shards; as many as copies, at least."""
        if self.shards == 1:
            return 0
        busy = self.workload.qps * self.shards * self.place.call_s / c.BUSY.value
        return max(self.workload.copies, math.ceil(busy / prices.FRONT_VCPUS))

    @property
    def times(self) -> dict[str, float]:
        """What the 99th percentile of an answer is made of, in seconds."""
        row = c.SCORING.value + self.workload.dims * c.SCORING_ELEMENT.value
        if self.on_disk:
            row += (c.NVME_READ if self.instance.nvme_gb else c.EBS_READ).value
        is_one = self.shards == 1
        return {
            "the way there": self.place.one_s if is_one else self.place.several_s,
            "asking the shards": 0.0 if is_one else self.shards * self.place.call_s,
            "scanning": self.service.seconds * c.TAIL.value,
            "waiting": waits(self.service, self.qps, self.shards)[1],
            "scoring": self.engine.rescored * row,
        }

    @property
    def median_s(self) -> float:
        """Seconds of an answer, as expected."""
        wait = waits(self.service, self.qps, self.shards)[0]
        return sum((self.times | {"scanning": self.service.seconds, "waiting": wait}).values())

    @property
    def p99_s(self) -> float:
        """Seconds in which 99 of 100 queries are answered, as expected."""
        return sum(self.times.values())

    @property
    def usd(self) -> dict[str, float]:
        """Dollars a month, by what they are for."""
        count = self.shards * self.copies
        disks = self.place.disk_usd(self.instance, self.disk_gb, self.reads)
        stored = artifact_bytes(self.engine, self.workload) * _GENERATIONS / _GB
        return {
            "instances": count * self.instance.hourly_usd * prices.HOURS_A_MONTH,
            "fronts": self.fronts * prices.FRONT_USD * prices.HOURS_A_MONTH,
            "disks": count * disks,
            "s3": stored * prices.S3_GB,
        }

    @property
    def pressure(self) -> dict[str, float]:
        """How much of what there is of each thing is used; 1 is all of it."""
        shares = {
            "memory": self.memory_bytes / (self.instance.memory_bytes * c.USABLE.value),
            "latency": self.p99_s / self.workload.p99_s,
            "processors": load(self.service, self.qps) / c.BUSY.value,
            "disk reads": self.reads / self.instance.reads,
            "shards": self.shards / MOST_SHARDS,
        }
        if self.shards > 1:
            shares["fan-out"] = self.shards * self.place.call_s / self.workload.p99_s
        return shares


def memory_of(engine: Engine, workload: Workload, on_disk: bool) -> float:
    """Return the bytes in memory of one copy of the corpus."""
    vectors = 4 * workload.dims if engine.rescored and not on_disk else 0
    return workload.rows * (engine.scanned(workload.dims) + vectors)


def artifact_bytes(engine: Engine, workload: Workload) -> float:
    """Return the bytes of one copy of the artifact."""
    vectors = 4 * workload.dims if engine.rescored else 0
    return workload.rows * (engine.scanned(workload.dims) + vectors)
