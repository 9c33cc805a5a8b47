"""``kneighbors publish``: an artifact as the next generation of a place."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from kneighbors.cli.console import progress_bars, write_json, write_line

if TYPE_CHECKING:
    from kneighbors.generations import Generation

_EPILOG = """\b
Examples:
  kneighbors publish M --to wines
  kneighbors publish model.tar.gz --to s3://bucket/wines --keep 3
  kneighbors publish staging --to s3://bucket/wines

The copy is complete and was read back before it counts. Servers that were
started on the place take it up by themselves. Where another publisher has
pointed at a newer generation meanwhile, theirs counts, and this one is there.

\b
Exit codes: 0 it counts; 1 the artifact or the place is at fault, or another
publisher was faster; 2 wrong usage; 130 interrupted; 143 terminated. Unless it
is 0, the old generation counts, or that of the other publisher.
"""


@click.command(name="publish", epilog=_EPILOG)
@click.argument("artifact", metavar="M")
@click.option(
    "--to", "place", required=True, metavar="PLACE", help="A directory or s3://bucket/prefix."
)
@click.option(
    "--keep",
    type=int,
    metavar="N",
    help="Remove older generations but N, this one included; by default all stay.",
)
@click.option("--no-progress", is_flag=True, help="No bars on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(artifact: str, place: str, keep: int | None, no_progress: bool, as_json: bool) -> None:
    """Copy an artifact into a place as a new generation, and let that one count.

    M is a directory, a .tar.gz, or another place, whose current generation is
    meant. PLACE is made if there is none.
    """
    from kneighbors.generations import publish

    with progress_bars(wanted=not no_progress, lines=not as_json) as progress:
        generation = publish(artifact, place, keep=keep, progress=progress)
    show(generation, as_json=as_json)


def show(generation: Generation, *, as_json: bool) -> None:
    """Write which generation counts now."""
    if as_json:
        write_json(document(generation))
        return
    rows = f"{generation.n_samples:,} x {generation.n_features:,} {generation.metric}"
    write_line(f"{generation.id}  {rows}  {generation.bytes:,} bytes  counts now")


def document(generation: Generation) -> dict[str, Any]:
    """Return what is known of a generation, as JSON has it."""
    known = asdict(generation)
    known["path"] = None if generation.path is None else str(generation.path)
    return {**known, "ok": generation.fault is None}
