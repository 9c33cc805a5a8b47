"""``kneighbors generations``: what was published to a place, and what counts."""

from __future__ import annotations

import click

from kneighbors.cli.console import stdout_console, write_json
from kneighbors.cli.failures import EXIT_FAULT, Ended
from kneighbors.cli.publish import document

_EPILOG = """\b
Examples:
  kneighbors generations wines
  kneighbors generations s3://bucket/wines --verify
  kneighbors generations wines --json | jq -r '.generations[] | select(.is_current).id'

Without --verify, manifests are read and names and lengths of files compared;
with it, every byte is read.

\b
Exit codes: 0 all are whole, as far as was looked; 1 one is not, or there is no
place; 2 wrong usage; 130 interrupted.
"""


@click.command(name="generations", epilog=_EPILOG)
@click.argument("place", metavar="PLACE")
@click.option("--verify", is_flag=True, help="Read and check every byte.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(place: str, verify: bool, as_json: bool) -> None:
    """List the generations of a place, the oldest first."""
    from kneighbors.generations import history

    found = history(place, verify=verify)
    if as_json:
        write_json({"place": place, "generations": [document(one) for one in found]})
    else:
        from kneighbors.cli.tables import new_table, plain

        table = new_table()
        for heading in ("generation", "published"):
            table.add_column(heading)
        for heading in ("rows", "bytes"):
            table.add_column(heading, justify="right")
        table.add_column("counts")
        table.add_column("ok", overflow="fold")
        for one in found:
            ok = "yes" if one.fault is None else plain(one.fault)
            counts = "yes" if one.is_current else ""
            table.add_row(one.id, one.published, f"{one.n_samples:,}", f"{one.bytes:,}", counts, ok)
        stdout_console().print(table)
    if any(one.fault is not None for one in found):
        raise Ended(EXIT_FAULT)
