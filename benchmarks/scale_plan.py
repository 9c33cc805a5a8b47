"""The part of the page on scale that carries a plan through, from the plan's own code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kneighbors.planning import Workload, plan
from kneighbors.planning import constants as c

BEGIN, END = "<!-- from here: benchmarks/scale_plan.py -->", "<!-- to here: scale_plan -->"
ROWS, DIMS, QPS = 10**9, 768, 500.0
#: Seconds in which 99 of 100 queries are to be answered.
WITHIN = (0.05, 0.5)
_ENGINES = {"exact": "exact", "quantised": "quantised", "hnsw": "HNSW"}


def part() -> str:
    """Return the part, marks included."""
    return "\n".join([BEGIN, "", *_lines(), END])


def _lines() -> Iterator[str]:
    yield (
        f"{QPS:g} queries a second, two copies of each shard or more, EC2 under Ray. Asking a "
        f"shard takes {1e3 * c.CALL.value:g} ms of the front's processor by way of Ray, where it "
        f"is measured, and {1e3 * c.CALL_ENDPOINT.value:g} ms where each shard is an endpoint, "
        "which is assumed.\n"
    )
    yield "| Engine | " + " | ".join(f"99 of 100 within {1e3 * s:g} ms" for s in WITHIN) + " |"
    yield "|---|" + "---|" * len(WITHIN)
    plans = {}
    for seconds in WITHIN:
        for one in plan(Workload(ROWS, DIMS, QPS, seconds))["plans"]:
            plans[one["place"], one["engine"], seconds] = one
    for name, title in _ENGINES.items():
        cells = [_cell(plans["ec2", name, seconds]) for seconds in WITHIN]
        yield f"| {title} | " + " | ".join(cells) + " |"
    yield ""


def _cell(one: Mapping[str, Any]) -> str:
    if one["is_possible"]:
        return (
            f"{one['shards']} x {one['copies']} {one['instance']}, "
            f"{one['usd_a_month']:,.0f} dollars a month, {one['p99_ms']:.0f} ms"
        )
    best = one["fastest"]
    return (
        f"not possible: {best['p99_ms']:.0f} ms at best, of which "
        f"{best['p99_of']['asking the shards']:.0f} go into asking {best['shards']} shards"
    )
