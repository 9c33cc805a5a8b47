"""``kneighbors rollback``: an earlier generation of a place counts again."""

from __future__ import annotations

import click

from kneighbors.cli.console import progress_bars
from kneighbors.cli.publish import show

_EPILOG = """\b
Examples:
  kneighbors rollback wines
  kneighbors rollback s3://bucket/wines --to 000007-c41e88d0a6f2

Every byte of the generation is read first. One that is damaged is refused.

\b
Exit codes: 0 it counts; 1 it is damaged or missing, or somebody else has moved
the pointer meanwhile; 2 wrong usage; 130 interrupted. Unless it is 0, what
counted still does.
"""


@click.command(name="rollback", epilog=_EPILOG)
@click.argument("place", metavar="PLACE")
@click.option("--to", metavar="ID", help="Which; by default the one before the current one.")
@click.option("--no-progress", is_flag=True, help="No bars on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(place: str, to: str | None, no_progress: bool, as_json: bool) -> None:
    """Let an earlier generation count again, or any that is named."""
    from kneighbors.generations import rollback

    with progress_bars(wanted=not no_progress, lines=not as_json) as progress:
        generation = rollback(place, to, progress=progress)
    show(generation, as_json=as_json)
