"""``kneighbors delete``: an endpoint removed, with what was made for it."""

from __future__ import annotations

from pathlib import Path

import click

from kneighbors.cli.console import progress_bars, remark, write_json, write_line
from kneighbors.cli.targets import resolve, target_options

_EPILOG = """\b
Examples:
  kneighbors delete wines --to local
  kneighbors delete wines --region eu-west-1 --yes --artifacts

Configurations and models are removed if `kneighbors deploy` made them for
this endpoint, which their tags tell.

\b
Exit codes: 0 removed; 1 AWS refused, or there is no such endpoint;
2 wrong usage; 130 interrupted, or not confirmed.
"""


@click.command(name="delete", epilog=_EPILOG)
@click.argument("name", metavar="NAME")
@target_options
@click.option("--keep-model", "keep_models", is_flag=True, help="Leave the models.")
@click.option("--artifacts", is_flag=True, help="Remove the archives in S3 too.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; does not ask.")
def command(
    name: str,
    to: str,
    region: str | None,
    profile: str | None,
    root: Path | None,
    keep_models: bool,
    artifacts: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove an endpoint and what it was made of."""
    from kneighbors.sagemaker.aws import Aws
    from kneighbors.sagemaker.deletion import delete, find_removal

    aws = Aws(resolve(to, region, profile, root).access)
    removal = find_removal(aws, name)
    if not yes and not as_json:
        for what in _lines(removal.to_dict(), keep_models, artifacts):
            remark(what)
        click.confirm("Remove all this?", abort=True, err=True)
    with progress_bars(wanted=True) as progress:
        removed = delete(
            aws, removal, keep_models=keep_models, artifacts=artifacts, progress=progress
        )
    if as_json:
        write_json(removed.to_dict())
        return
    for what in _lines(removed.to_dict(), keep_models, artifacts):
        write_line(f"removed {what}")


def _lines(removal: dict[str, object], keep_models: bool, artifacts: bool) -> list[str]:
    endpoint = [f"endpoint {removal['endpoint']}"] if removal["is_there"] else []
    wanted = {
        "configs": ("configuration", True),
        "models": ("model", not keep_models),
        "archives": ("archive", artifacts and not keep_models),
    }
    rest = [
        f"{word} {name}"
        for member, (word, shown) in wanted.items()
        if shown and isinstance(names := removal[member], list)
        for name in names
    ]
    return endpoint + rest
