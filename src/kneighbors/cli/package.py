"""``kneighbors package``: an artifact as a model.tar.gz for SageMaker."""

from __future__ import annotations

from typing import Any, Literal

import click

from kneighbors.cli.archive_options import contents_options
from kneighbors.cli.console import progress_bars, write_json, write_line

_EPILOG = """\b
Examples:
  kneighbors package M --output model.tar.gz
  kneighbors package M --output model.tar.gz --front ours --json
  kneighbors package M --output model.tar.gz --entry-point handlers.py
  kneighbors package M --output model.tar.gz --format sklearn

With --front stock the image's own web application calls a script of ours; with
--front ours ours answers in its place: loaded before the first ping, one copy
for all workers, errors in JSON. Both need the image of version 1.9-0. A plain
scikit-learn model runs in every version of the image.

\b
Exit codes: 0 done; 1 the artifact or the output is at fault; 2 wrong usage;
130 interrupted.
"""


@click.command(name="package", epilog=_EPILOG)
@click.argument("model", metavar="M")
@click.option("--output", required=True, metavar="FILE", help="The model.tar.gz to write.")
@contents_options
@click.option(
    "--sourcedir", metavar="FILE", help="Write the code alone too, as the SDK's sourcedir.tar.gz."
)
@click.option("--force", "overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    model: str,
    front: Literal["stock", "ours"],
    format: Literal["kneighbors", "sklearn"],
    as_json: bool,
    **options: Any,
) -> None:
    """Make a model.tar.gz of an artifact, with all that SageMaker's image needs.

    Nothing is installed when the image starts, so network isolation works. What
    CreateModel has to be told is printed.
    """
    from kneighbors.sagemaker.package import package

    with progress_bars(wanted=True) as progress:
        packaged = package(model, front=front, format=format, progress=progress, **options)
    if as_json:
        write_json(packaged.to_dict())
        return
    write_line(f"{packaged.path}  {packaged.bytes:,} bytes")
    if packaged.sourcedir is not None:
        write_line(f"{packaged.sourcedir}  the code alone")
    write_line(f"image  sagemaker-scikit-learn:{packaged.image_version}-cpu-py3")
    for name, value in packaged.environment.items():
        write_line(f"{name}={value}")
