"""The cheapest layout that answers in time, of all that are tried."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from kneighbors.planning import constants as c
from kneighbors.planning import prices
from kneighbors.planning.engines import ENGINES, Engine
from kneighbors.planning.layout import MOST_SHARDS, Layout, memory_of
from kneighbors.planning.places import PLACES, Place
from kneighbors.planning.prices import Instance
from kneighbors.planning.queueing import load
from kneighbors.planning.report import report
from kneighbors.planning.workload import Workload

#: Numbers of shards that are tried differ by this factor, and of copies up to so many more.
_STEP, _MORE_COPIES = 1.25, 2.0


def plan(workload: Workload) -> dict[str, Any]:
    """Plan each engine at each place.

    Parameters
    ----------
    workload : Workload

    Returns
    -------
    dict
        Fit for JSON: what was asked for, a plan for each place and engine with its shards,
        instances, memory, storage, dollars a month, expected latency and what breaks first, the
        constants with their sources and errors, and the date of the prices.

    Notes
    -----
    Every size of instance is tried with growing numbers of shards, the vectors in memory and on
    disk, and batches of 1 to 64. Takes about a second.
    """
    plans = [
        report(workload, place, engine, *_best(workload, place, engine))
        for place in PLACES
        for engine in ENGINES
    ]
    return {
        "workload": {
            "rows": workload.rows,
            "dims": workload.dims,
            "qps": workload.qps,
            "p99_ms": workload.p99_s * 1e3,
            "recall": workload.recall,
            "copies": workload.copies,
        },
        "plans": plans,
        "constants": {name: vars(constant) for name, constant in c.CONSTANTS.items()},
        "prices": {
            "date": prices.DATE,
            "region": prices.REGION,
            "remark": prices.REMARK,
            "errors": {
                "ec2": prices.EC2_ERROR,
                "sagemaker": prices.SAGEMAKER_ERROR,
                "storage": prices.STORAGE_ERROR,
            },
        },
    }


def _best(workload: Workload, place: Place, engine: Engine) -> tuple[Layout | None, Layout | None]:
    """Return the cheapest layout that is in time, and the fastest of all, in time or not."""
    cheapest: Layout | None = None
    fastest: Layout | None = None
    if engine.recall < workload.recall:
        return None, None
    for layout in _layouts(workload, place, engine):
        if fastest is None or layout.p99_s < fastest.p99_s:
            fastest = layout
        if layout.p99_s <= workload.p99_s and (
            cheapest is None or sum(layout.usd.values()) < sum(cheapest.usd.values())
        ):
            cheapest = layout
    return cheapest, fastest


def _layouts(workload: Workload, place: Place, engine: Engine) -> Iterator[Layout]:
    for instance in place.instances:
        for on_disk in (False, True) if engine.rescored else (False,):
            room = instance.memory_bytes * c.USABLE.value
            least = memory_of(engine, workload, on_disk) / room
            least = math.ceil(max(least, workload.rows / engine.most_rows))
            for shards in _numbers(least, min(workload.rows, MOST_SHARDS)):
                yield from _of(workload, place, engine, instance, shards, on_disk)


def _numbers(least: int, most: int) -> Iterator[int]:
    number = least
    while number <= most:
        yield number
        number = max(number + 1, round(number * _STEP))


def _of(
    workload: Workload,
    place: Place,
    engine: Engine,
    instance: Instance,
    shards: int,
    on_disk: bool,
) -> Iterator[Layout]:
    """Give the layouts of so many shards on an instance, with the fewest copies that may do."""
    for service in engine.services(workload.rows / shards, workload.dims, instance):
        copies = max(workload.copies, math.ceil(load(service, workload.qps) / c.BUSY.value))
        if on_disk:
            reads = engine.rescored * workload.qps
            copies = max(copies, math.ceil(reads / instance.reads))
        most = copies * _MORE_COPIES
        while copies <= most:
            layout = Layout(workload, place, engine, instance, service, shards, copies, on_disk)
            if not place.has_room(instance, layout.disk_gb):
                return
            yield layout
            if layout.p99_s <= workload.p99_s:
                break
            copies = max(copies + 1, round(copies * _STEP))
