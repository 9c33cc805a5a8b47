"""Options of the commands that make an archive: what is in it, and where it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., None])

front_option = click.option(
    "--front",
    type=click.Choice(["stock", "ours"]),
    default="stock",
    help="Whose web application answers; stock by default.",
)
_format_option = click.option(
    "--format",
    type=click.Choice(["kneighbors", "sklearn"]),
    default="kneighbors",
    help="Our artifact and this package, or a plain model.joblib that needs nothing of ours.",
)
_entry_point_option = click.option(
    "--entry-point", metavar="SCRIPT", help="Your own handlers: a .py file or a folder."
)
bucket_option = click.option(
    "--bucket", metavar="NAME", help="For the archive; by default the one of the SDK."
)
image_option = click.option(
    "--image", metavar="URI", help="By default AWS's scikit-learn image of the region."
)


def contents_options(command: F) -> F:
    """Add the options that say what is in the archive."""
    return front_option(_format_option(_entry_point_option(command)))
