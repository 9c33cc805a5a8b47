"""The numbers that plans are computed from, each with its source and how far it may be off.

Those that are called assumptions were not measured by this project. Seconds of a vCPU were measured
on two of an AMD EPYC and doubled, as if both had been busy all the time.
"""

from __future__ import annotations

from dataclasses import dataclass

_RECORDED = "benchmarks/results/engines.jsonl"
_CLUSTER = "benchmarks/cluster_overhead.py"
_ALONE = "measured alone on 2 vCPUs of an AMD EPYC, 180,000 x 300"


@dataclass(frozen=True)
class Constant:
    """A number, and how much it is to be believed.

    Parameters
    ----------
    value : float
    unit : str
    error : str
        By how much the truth may differ from it.
    source : str
        Where it was measured, or why it was assumed.
    """

    value: float
    unit: str
    error: str
    source: str


BATCH = Constant(
    30.5e-12,
    "vCPU seconds a row, dimension and query",
    "20 %",
    f"{_RECORDED}: batches of 32, isotropic and flat",
)
BANDWIDTH = Constant(6.5e9, "bytes a second and vCPU", "15 %", f"{_ALONE}: 216 MB in 16.6 ms")
CROWDED = Constant(
    0.4,
    "share of the bandwidth when all cores of a machine read",
    "-25 % to +150 %",
    "assumption: 8 channels of DDR4-3200 for 64 vCPUs; a small instance alone has all of it",
)
CODE = Constant(
    93e-12, "vCPU seconds a byte of codes", "50 %", f"{_RECORDED}: one query, flat 100,000 x 384"
)
WALK = Constant(
    0.79e-3,
    "vCPU seconds a query of a graph",
    "30 % there, twice when scaled",
    f"{_ALONE}, recall 0.993; scaled by dimensions and by the logarithm of rows",
)
WALK_RECALL = Constant(0.993, "recall of such a query", "0.003", _ALONE)
WALK_ROWS, WALK_DIMS = 180_000, 300
WALK_BUILD = Constant(
    41 * 2 / 180_000, "vCPU seconds a row of a graph's building", "twice", f"{_ALONE}: 41 s"
)
LINKS = Constant(
    272.0,
    "bytes of a row's links",
    "2 %",
    "the layout of the graph with 32 links a row, 64 in its lowest layer",
)
FIT = Constant(
    62e-9,
    "vCPU seconds a row and dimension of an exact fit",
    "twice",
    f"{_RECORDED}: 1.19 s for 100,000 x 384",
)
RESCORED = Constant(
    50.0,
    "rows scored from the vectors, a query and shard",
    "twice",
    "docs/decisions/0011-shards.md counts 22 to 42 for wines; more on a flat spectrum",
)
CANDIDATES = Constant(
    64.0, "rows scored after a walk", "twice", "the default breadth of a walk, ef_search"
)
SCORING = Constant(
    300e-9, "seconds to score a row, without its numbers", "twice", "search/costs.py"
)
SCORING_ELEMENT = Constant(2.5e-9, "seconds to score one number", "twice", "search/costs.py")
TAIL = Constant(
    1.75,
    "p99 of a query alone, over its median",
    "40 %",
    f"{_RECORDED}: p95 over median is 1.55 to 1.94; p99 is not recorded",
)
HTTP = Constant(1.3e-3, "seconds of HTTP a query", "30 %", "measured alone on loopback")
RAY = Constant(
    11e-3, "seconds more by way of Ray", "50 %", "measured on two local nodes, 200,000 x 300"
)
CALL = Constant(
    1.5e-3,
    "vCPU seconds to ask one shard by way of Ray, one after another",
    "twice",
    f"{_CLUSTER}: what one shard more costs the processor of whoever asks, 1 to 16 shards",
)
CALL_ENDPOINT = Constant(
    0.2e-3, "vCPU seconds to ask one endpoint, one after another", "twice", "assumption"
)
SAGEMAKER = Constant(10e-3, "seconds of SageMaker's own way to an instance", "twice", "assumption")
NVME_READ = Constant(0.1e-3, "seconds of a read from NVMe", "50 %", "assumption")
EBS_READ = Constant(0.7e-3, "seconds of a read from EBS", "50 %", "assumption")
USABLE = Constant(
    0.85, "share of memory for the index", "0.05", "assumption: the rest is the system's"
)
BUSY = Constant(0.7, "share of the time that processors may be busy", "-", "a choice")
OVERHEAD = Constant(
    16.0,
    "bytes a row beside its codes or vector",
    "50 %",
    "hashes of ids, 8, and the bounds' own bytes, up to 8",
)

#: All of them, by the names that output uses.
CONSTANTS: dict[str, Constant] = {
    name.lower(): value for name, value in list(globals().items()) if isinstance(value, Constant)
}
