"""Parts of the page on scale: one join by several engines, and little memory for a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]
_PEERS = {
    "kneighbors": "`kneighbors join`, one process",
    "kneighbors_ray": "`kneighbors join --cluster`, two hosts",
    "faiss": "FAISS flat, one process",
    "spark": "PySpark, `mapInPandas` with FAISS flat",
    "ray_data": "Ray Data, `map_batches` with FAISS flat",
}
_RUNS = {
    "read-data": "a program that reads the corpus whole",
    "read-cgroup": "the same",
    "train-data": "`kneighbors train --shards`",
    "train-cgroup": "the same",
    "train-ray": "the same on Ray, `--memory-per-task`",
    "join-data": "`kneighbors join`",
    "join-cgroup": "the same",
    "join-own": "the same, `--memory-limit`",
}


def peers(lines: Sequence[Line]) -> Iterator[str]:
    line = lines[-1]
    rows, width = line["shape"]
    yield (
        f"The {line['k']} nearest of {line['queries']:,} queries among {rows:,} x {width} wines, "
        f"from Parquet to Parquet, all on the same two cores in one run. {origin(line)}\n"
    )
    yield (
        "| | whole command, s | join alone, s | queries/s | join alone | RSS, MiB | PSS, MiB | "
        "recall | rows as ours, up to ties |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, one in line["engines"].items():
        tied = number(one.get("same_up_to_ties"), ".4%")
        yield (
            f"| {_PEERS[name]} | {one['wall_s']:,.1f} | {one['join_s']:,.1f} | "
            f"{one['rows_per_s']:,.0f} | {one['join_rows_per_s']:,.0f} | {one['rss_mib']:,.0f} | "
            f"{one['pss_mib']:,.0f} | {one['recall']:.5f} | {tied} |"
        )
    yield ""
    yield from _ahead(line)
    for name, reason in line["left_out"].items():
        yield f"{_PEERS[name]} was left out: {reason}\n"


def _ahead(line: Line) -> Iterator[str]:
    """Say who is faster than we are, and what is not in the figures."""
    ours = line["engines"].get("kneighbors")
    trained = line["train_s"]["kneighbors"]
    yield (
        f"Ours was trained before, in {trained:,.1f} s, which is in no figure; the others build "
        "their index in the join. RSS counts shared pages once for each process, PSS once in all.\n"
    )
    if ours is None:
        return
    for key, what in (("rows_per_s", "the whole command"), ("join_rows_per_s", "the join alone")):
        ahead = [
            f"{_PEERS[name]} ({one[key] / ours[key]:.2f} times as fast)"
            for name, one in line["engines"].items()
            if one[key] > ours[key]
        ]
        if ahead:
            yield f"Faster than our one process, counting {what}: {'; '.join(ahead)}.\n"
        else:
            yield f"None is faster than our one process, counting {what}.\n"
    with_ray = line["engines"].get("kneighbors_ray")
    if with_ray is not None and with_ray["rows_per_s"] < ours["rows_per_s"]:
        yield (
            "On one machine Ray only costs: it starts in seconds, holds "
            f"{with_ray['pss_mib'] - ours['pss_mib']:,.0f} MiB more and searches with the same "
            "cores. It is for corpora and joins that one machine is too small for.\n"
        )


def memory(lines: Sequence[Line]) -> Iterator[str]:
    line = lines[-1]
    yield (
        f"{line['corpus_mib']:,.0f} MiB of wines, {line['rows']:,} rows in {line['shards']} "
        f"shards, {line['corpus_mib'] / line['limit_mib']:.1f} times the {line['limit_mib']} MiB "
        f"that the system lets a process have; {line['queries']:,} queries. {origin(line)}\n"
    )
    yield (
        "| | limit | ends with | s | no file's, MiB | resident, with files' pages | group |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name, one in line["runs"].items():
        how = {"data": "RLIMIT_DATA", "cgroup": "control group"}.get(name.split("-")[1], "its own")
        if one is None:
            yield f"| {_RUNS[name]} | {how} | no group can be made here | | | | |"
            continue
        yield (
            f"| {_RUNS[name]} | {how} | {one['exit_code']} | {one['seconds']:,.1f} | "
            f"{one['largest_anon_mib']:,.0f} | {one['rss_mib']:,.0f} | "
            f"{number(one.get('group_mib'), ',.0f')} |"
        )
    yield ""
    same = "are the same" if line["same_answers"] else "**are not the same**"
    yield (
        "Memory that is no file's is that of the largest process, peaks looked at ten times a "
        "second; -9 is the kernel's way to end one. A control group counts the pages of files too, "
        f"and drops them when it is full. The answers of all joins {same}.\n"
    )


def origin(line: Line) -> str:
    ray = f", Ray {line['ray']}" if "ray" in line else ""
    day = f", {line['date']}" if "date" in line else ""
    return (
        f"{line['threads']} threads of an {line['processor']}, Python {line['python']}{ray}; "
        f"commit {line['commit']}{day}."
    )


def number(value: Any, form: str, unit: str = "", missing: str = "–") -> str:
    return missing if value is None else format(value, form) + unit
