"""``kneighbors sagemaker``: what a SageMaker job starts from."""

from __future__ import annotations

import click

from kneighbors.cli.console import write_json, write_line

_EPILOG = """\b
Example:
  kneighbors sagemaker init job
  # then, with SageMaker's Python SDK:
  # SKLearn(entry_point="sklearn_nearest_neighbors.py", source_dir="job", ...)

\b
Exit codes: 0 done; 1 a file is there already, or the folder is at fault;
2 wrong usage.
"""
_GROUP_EPILOG = """\b
Examples:
  kneighbors sagemaker init job
  kneighbors sagemaker init job --with-package

\b
Exit codes: 0 done; 1 a file is there already, or the folder is at fault;
2 wrong usage.
"""


@click.group(name="sagemaker", epilog=_GROUP_EPILOG)
def command() -> None:
    """Write the script of a SageMaker job, ready to be edited."""


@command.command(name="init", epilog=_EPILOG)
@click.argument("folder", metavar="DIR")
@click.option(
    "--with-package",
    is_flag=True,
    help="Put this package beside the script, so that a job installs nothing.",
)
@click.option("--force", "overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def init(folder: str, with_package: bool, overwrite: bool, as_json: bool) -> None:
    """Write a script for training and hosting, and its requirements.txt, into DIR.

    Other files in DIR are left alone.
    """
    from kneighbors.sagemaker.project import write_project

    paths = write_project(folder, with_package=with_package, overwrite=overwrite)
    if as_json:
        write_json({"files": [str(path) for path in paths]})
        return
    for path in paths[:2]:
        write_line(str(path))
    if len(paths) > 2:
        write_line(f"{len(paths) - 2} files of the package")
