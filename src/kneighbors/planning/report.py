"""A plan in words and numbers."""

from __future__ import annotations

from typing import Any

from kneighbors.planning.engines import Engine
from kneighbors.planning.layout import MOST_SHARDS, Layout, artifact_bytes
from kneighbors.planning.places import Place
from kneighbors.planning.workload import Workload

_GIB = float(1 << 30)
#: What breaks first to what would be done about it.
REMEDIES = {
    "memory": "more shards, or vectors on disk",
    "latency": "more shards while scanning outweighs asking them, then fewer bytes, or a graph",
    "processors": "more copies of each shard",
    "disk reads": "more copies, local NVMe, or vectors in memory",
    "shards": f"an artifact has at most {MOST_SHARDS:,} shards; larger instances",
    "fan-out": "fronts that ask in a tree, or fewer and larger shards",
}


def report(
    workload: Workload,
    place: Place,
    engine: Engine,
    chosen: Layout | None,
    fastest: Layout | None,
) -> dict[str, Any]:
    """Return a plan as JSON has it.

    Parameters
    ----------
    workload : Workload
    place : Place
    engine : Engine
    chosen : Layout or None
        None where nothing is in time.
    fastest : Layout or None
        None where nothing was tried, the recall or the size being out of reach.
    """
    found: dict[str, Any] = {
        "place": place.name,
        "engine": engine.name,
        "about": f"{engine.about}; {place.about}",
        "recall": engine.recall,
        "is_possible": chosen is not None,
        "reason": None,
        "build_vcpu_hours": round(engine.build(workload.rows, workload.dims) / 3600, 3),
    }
    if chosen is not None:
        return found | _layout(workload, chosen)
    if fastest is not None:
        most = max(fastest.times.items(), key=lambda one: one[1])[0]
        found["reason"] = (
            f"at best {fastest.p99_s * 1e3:,.1f} ms, with {fastest.shards:,} shards of "
            f"{fastest.instance.name}, most of it {most}"
        )
        found["fastest"] = _layout(workload, fastest)
    elif engine.recall < workload.recall:
        found["reason"] = f"its constants were measured at a recall of {engine.recall}"
    else:
        found["reason"] = f"no instance holds a shard, with {MOST_SHARDS:,} shards at most"
    return found


def _layout(workload: Workload, layout: Layout) -> dict[str, Any]:
    pressure = layout.pressure
    first = max(pressure, key=lambda name: pressure[name])
    count = layout.shards * layout.copies
    usd = {name: round(value, 2) for name, value in layout.usd.items()}
    return {
        "shards": layout.shards,
        "copies": layout.copies,
        "instances": count,
        "instance": layout.instance.name,
        "fronts": layout.fronts,
        "batch": layout.service.batch,
        "vectors": "disk" if layout.on_disk else "memory",
        "memory_gib": round(layout.memory_bytes * count / _GIB, 2),
        "disk_gb": round(layout.disk_gb * count, 2),
        "s3_gb": round(artifact_bytes(layout.engine, workload) * 2 / 1e9, 2),
        "usd_a_month": round(sum(usd.values()), 2),
        "usd": usd,
        "median_ms": round(layout.median_s * 1e3, 2),
        "p99_ms": round(layout.p99_s * 1e3, 2),
        "p99_of": {name: round(value * 1e3, 2) for name, value in layout.times.items()},
        "pressure": {name: round(value, 3) for name, value in pressure.items()},
        "breaks_first": first,
        "then": REMEDIES[first],
    }
