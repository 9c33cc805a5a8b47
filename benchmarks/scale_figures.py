"""Write what was measured of clusters, joins and memory into the documentation's page on scale.

    python benchmarks/scale_figures.py            # two parts of docs/explanation/scale.md

Nothing is measured here. Of each kind the newest line in `benchmarks/results` counts; what has no
line is said not to have been measured. The other part is the plan's (`scale_plan`). Each is between
two marks; a test holds the page to both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import results
import scale_plan
from join_figures import memory, number, origin, peers

PAGE = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "scale.md"
BEGIN, END = "<!-- from here: benchmarks/scale_figures.py -->", "<!-- to here: scale_figures -->"
#: Of what counts.
LEAST_ROWS = 100_000
Line = Mapping[str, Any]

_HEAD = """\
## What was measured

On two cores, which the load, the server and all nodes of Ray share. Nodes are processes of one
machine: there is no network, and a node that is killed closes its connections, which a machine
without power does not. This part is written by `benchmarks/scale_figures.py` from the lines in
`benchmarks/results`. To measure again:

| command | takes |
|---|---|
| `.venv-bench/bin/python benchmarks/cluster_kills.py` | five minutes |
| `.venv-bench/bin/python benchmarks/cluster_overhead.py` | ten minutes |
| `.venv-bench/bin/python benchmarks/join_peers.py` | ten minutes; needs Java 17 |
| `.venv-bench/bin/python benchmarks/join_memory.py` | fifteen minutes |
"""
_WAYS = {
    "whole-0": "in process, one artifact",
    "local-8": "in process, 8 shards one after another",
    "ray-8": "by way of Ray, 8 shards",
}


def part() -> str:
    """Return the part of the page, marks included."""
    lines = [BEGIN, "", _HEAD]
    for title, kind, what, section in (
        ("An actor is killed, then a node", "cluster", "kills", _kills),
        ("What the way through Ray costs", "cluster", "overhead", _overhead),
        ("One join, by others too", "join", "peers", peers),
        ("Less memory than the corpus takes", "memory", "memory", memory),
    ):
        found = _lines_of(kind, what)
        lines.append(f"### {title}\n")
        lines += section(found) if found else ["Not measured yet.\n"]
    lines += _lost()
    return "\n".join([*lines, END])


def _lines_of(kind: str, what: str) -> list[Line]:
    """Return what was measured at full size; other lines are trials."""
    return [
        one
        for one in results.read(kind)
        if one.get("what") == what and (one.get("rows") or one["shape"][0]) >= LEAST_ROWS
    ]


def _lost() -> Iterator[str]:
    """Say in a few words what is given up."""
    kills = {line["copies"]: line for line in _lines_of("cluster", "kills")}
    overheads = _lines_of("cluster", "overhead")
    yield "### What is lost\n"
    if overheads:
        ways = overheads[-1]["overhead"]
        yield (
            f"- Time: one query takes {ways['ray-8']['1']:,.0f} ms by way of Ray and "
            f"{ways['whole-0']['1']:,.1f} ms without. Who has room on one machine should stay."
        )
    if 1 in kills:
        times = [number(kills[1][name]["copies_back_s"], ".0f") for name in ("actor", "node")]
        yield (
            f"- With one copy, all answers for {times[0]} s after a process and {times[1]} s after "
            "a node, until the shards are open again, for a query asks every shard."
        )
    yield "- With two copies, the memory of one: each shard is open twice."
    yield "- With two copies, what holds for one loss at a time: a second may take the last copy."
    yield "- The front is one process. Where it is lost, it must be started again.\n"


def _kills(lines: Sequence[Line]) -> Iterator[str]:
    newest = {line["copies"]: line for line in lines}
    one = lines[-1]
    yield (
        f"Wines, {one['rows']:,} x 300 in {one['shards']} shards on {one['nodes']} nodes; "
        f"{one['rate']:g} requests a second at fixed times for {one['seconds']:g} s. A process "
        f"that holds a shard is killed, then all processes of a node. {origin(one)}\n"
    )
    yield (
        "| copies | when | requests | failed | median, ms | p99 | most | all answered again | "
        "all within 1 s again | copies back |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for copies, line in sorted(newest.items(), reverse=True):
        for name, title in (
            ("all", "all the time"),
            ("quiet", "before"),
            ("actor", "5 s after an actor's end"),
            ("node", "5 s after a node's end"),
        ):
            if name in line:
                yield f"| {copies} | {title} | {_phase(line[name])} |"
    yield ""
    for copies, line in sorted(newest.items(), reverse=True):
        yield _said_of_kills(copies, line)
    yield ""


def _phase(one: Line) -> str:
    failed = ", ".join(f"{count:,} with {status}" for status, count in one["failed"].items())
    times = [number(one.get(f"{key}_ms"), ",.0f") for key in ("p50", "p99", "most")]
    if "killed_s" in one:
        keys = ("recovered_s", "in_time_s", "copies_back_s")
        after = [number(one[key], ".1f", " s", "not in time") for key in keys]
    else:
        after = [""] * 3
    return " | ".join([f"{one['requests']:,}", failed or "none", *times, *after])


def _said_of_kills(copies: int, line: Line) -> str:
    failed = sum(line["all"]["failed"].values())
    word = "copy" if copies == 1 else "copies"
    if not failed:
        p99 = line["all"]["p99_ms"]
        return f"- With {copies} {word} no request failed; p99 of all is {p99:,.0f} ms."
    others = {status for status in line["all"]["failed"] if status != "503"}
    kinds = "all with 503" if not others else f"some with {', '.join(sorted(others))}"
    reasons = line.get("reasons", {"shard-unavailable": failed})
    codes = [f"{count:,} as `{code}`" for code, count in sorted(reasons.items())]
    why = (
        "every query asks every shard, so while one is missing none is answered in full"
        if "shard-unavailable" in reasons
        else "no shard was missing, but the lost copies were started anew on the cores that answer"
    )
    return (
        f"- With {copies} {word} {failed:,} of {line['all']['requests']:,} requests failed, "
        f"{kinds} ({', '.join(codes)}): {why}."
    )


def _overhead(lines: Sequence[Line]) -> Iterator[str]:
    line = lines[-1]
    rows, width = line["shape"]
    yield f"Wines, {rows:,} x {width}; medians, milliseconds a call. {origin(line)}\n"
    sizes = list(next(iter(line["overhead"].values())))
    yield "| queries of a call | " + " | ".join(sizes) + " |\n|---|" + "---|" * len(sizes)
    for way, by_size in line["overhead"].items():
        yield f"| {_WAYS[way]} | " + " | ".join(f"{ms:,.1f}" for ms in by_size.values()) + " |"
    yield ""
    whole, ray = line["overhead"]["whole-0"], line["overhead"]["ray-8"]
    ratios = ", ".join(f"{ray[size] / whole[size]:.1f} for {size}" for size in sizes)
    yield f"By way of Ray a call takes so many times as long as in one process: {ratios}.\n"
    scaled = line["scaling"]
    yield (
        "Two hosts with half of the rows each, one thread each, beside one host with all: "
        + "; ".join(
            f"{one['two_ms']:,.1f} ms in place of {one['one_ms']:,.1f} for {size} "
            f"({one['times']:.2f} times as fast)"
            for size, one in scaled.items()
        )
        + ".\n"
    )
    fan = line["fan_out"]
    counts = list(fan["ray"]["ms"])
    yield "| shards, one query | " + " | ".join(counts) + " | a shard more |"
    yield "|---|" + "---|" * (len(counts) + 1)
    for way, title in (
        ("local", "in process"),
        ("ray", "by way of Ray"),
        ("front", "of it, the processor of whoever asks"),
    ):
        cells = " | ".join(f"{ms:.1f}" for ms in fan[way]["ms"].values())
        yield f"| {title} | {cells} | {fan[way]['a_shard_ms']:.2f} |"
    yield ""
    yield (
        "The last column is the slope of a line through the others. Here the hosts share two cores "
        "with whoever asks; where they have their own, what is left is the last row, which is what "
        f"the model takes for a shard. One query of one shard takes {line['ray_ms']:.1f} ms more "
        "by way of Ray.\n"
    )


def page() -> str:
    """Return the whole page, both parts renewed."""
    text = PAGE.read_text("utf-8")
    for begin, end, renewed in (
        (scale_plan.BEGIN, scale_plan.END, scale_plan.part()),
        (BEGIN, END, part()),
    ):
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + renewed + after
    return text


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
