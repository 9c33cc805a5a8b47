"""``kneighbors plan``: what a corpus of a given size would take, on paper."""

from __future__ import annotations

from typing import Any

import click

from kneighbors.cli.console import write_json, write_line

_EPILOG = """\b
Examples:
  kneighbors plan --rows 1e9 --dims 768 --qps 500 --p99 50ms
  kneighbors plan --rows 180000 --dims 300 --qps 20 --p99 0.1s --recall 1 --json

Nothing is measured and nothing is asked for over the network: what was measured
elsewhere is scaled. Latency and the number of instances may be off by a factor
of two; prices are list prices of the date that is shown, to be checked.

\b
Exit codes: 0 planned, even where nothing is possible; 2 wrong usage, or a
question that is at fault.
"""


@click.command(name="plan", epilog=_EPILOG)
@click.option("--rows", required=True, metavar="N", help="Rows, such as 1e9.")
@click.option("--dims", required=True, metavar="N", help="Dimensions of a row, float32.")
@click.option("--qps", required=True, metavar="Q", help="Queries a second, ten neighbours each.")
@click.option(
    "--p99", required=True, metavar="TIME", help="Time for 99 of 100 queries, such as 50ms."
)
@click.option("--recall", default="0.95", metavar="R", help="Share to be found. [0.95]")
@click.option("--copies", default="2", metavar="N", help="Of each shard, at least. [2]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool, **asked: str) -> None:
    """Say what a corpus would take: shards, instances, memory, cost and latency.

    For exact search, codes of a byte and HNSW, on SageMaker and on EC2 under Ray.
    """
    from kneighbors.planning import Workload, plan

    found = plan(Workload.of_texts(**asked))
    if as_json:
        write_json(found)
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    from kneighbors.cli.console import stdout_console
    from kneighbors.cli.tables import new_table

    asked = found["workload"]
    write_line(
        f"{asked['rows']:,} x {asked['dims']:,}, {asked['qps']:,g} queries a second, 99 of 100 "
        f"within {asked['p99_ms']:,g} ms, recall {asked['recall']:g}"
    )
    table = new_table()
    for name in ("place", "engine", "shards", "instances", "memory", "storage"):
        table.add_column(name, overflow="fold")
    for name in ("$ a month", "median ms", "p99 ms"):
        table.add_column(name, justify="right", overflow="fold")
    for one in found["plans"]:
        table.add_row(one["place"], one["engine"], *_cells(one))
    stdout_console().print(table)
    for one in found["plans"]:
        write_line(f"{one['place']}, {one['engine']}: {_remark(one)}")
    _show_constants(found)


def _cells(one: dict[str, Any]) -> list[str]:
    if not one["is_possible"]:
        return ["not possible"]
    return [
        f"{one['shards']:,} x {one['copies']:,}",
        f"{one['instances']:,} {one['instance'].removeprefix('ml.')}",
        f"{one['memory_gib']:,.0f} GiB",
        f"{one['disk_gb'] + one['s3_gb']:,.0f} GB",
        f"{one['usd_a_month']:,.0f}",
        f"{one['median_ms']:,.0f}",
        f"{one['p99_ms']:,.0f}",
    ]


def _remark(one: dict[str, Any]) -> str:
    if not one["is_possible"]:
        return f"not possible: {one['reason']}"
    share = one["pressure"][one["breaks_first"]]
    where = f"vectors {'on' if one['vectors'] == 'disk' else 'in'} {one['vectors']}"
    fronts = f", {one['fronts']:,} fronts" if one["fronts"] else ""
    return (
        f"{one['breaks_first']} breaks first ({share:.0%} used): {one['then']}; {where}, "
        f"batches of {one['batch']}{fronts}, {one['build_vcpu_hours']:,.1f} vCPU "
        "hours to build"
    )


def _show_constants(found: dict[str, Any]) -> None:
    prices = found["prices"]
    errors = ", ".join(f"{name} {error}" for name, error in prices["errors"].items())
    write_line(
        f"\nprices: {prices['region']}, {prices['date']}, {prices['remark']}; error: {errors}"
    )
    write_line("constants, their errors and sources:")
    for name, one in found["constants"].items():
        write_line(
            f"  {name} = {one['value']:.4g} {one['unit']} (error {one['error']}): {one['source']}"
        )
