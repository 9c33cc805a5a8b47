"""``kneighbors local``: SageMaker on this machine, started, used and ended."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kneighbors.cli.console import remark, stdout_console, write_json, write_line

if TYPE_CHECKING:
    from kneighbors.local.root import Settings

_EPILOG = """\b
Examples:
  kneighbors local up
  kneighbors local run -- python notebook.py
  kneighbors local run -- jupyter lab
  eval "$(kneighbors local env)"
  kneighbors local logs my-training-job -f

\b
Exit codes: those of the program for run; otherwise 0 done; 1 no control plane,
or it cannot start; 2 wrong usage; 130 interrupted; 143 terminated.
"""

_root_option = click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where all state is; by default $KNEIGHBORS_LOCAL_ROOT or ~/.kneighbors/local.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group(name="local", epilog=_EPILOG)
def command() -> None:
    """SageMaker on this machine, without an account or Docker.

    A control plane on 127.0.0.1 takes AWS's place for boto3 and for SageMaker's SDKs. Training
    jobs, transform jobs and endpoints are processes of this machine; S3 is a directory.
    """


@command.command()
@_root_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Where to listen; by default the port that it had before, or a free one. 0: a free one.",
)
@click.option("--foreground", is_flag=True, help="Stay in this process until interrupted.")
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="PATTERN=COMMAND",
    help="What stands in for the images that match; COMMAND gets train or serve appended.",
)
@_json_option
def up(
    root: Path | None, port: int | None, foreground: bool, images: tuple[str, ...], as_json: bool
) -> None:
    """Start the control plane, and print where it is."""
    from kneighbors.local.images import parse_images
    from kneighbors.local.root import made_root

    parse_images(list(images))
    place = made_root(root)
    if foreground:
        from kneighbors.local.starting import run as run_plane

        run_plane(place, port, images, lambda settings: _show_up(place, settings, as_json))
        return
    from kneighbors.local.process import start_plane

    _show_up(place, start_plane(place, port, images), as_json)


@command.command(context_settings={"allow_interspersed_args": False})
@_root_option
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
def run(root: Path | None, program: tuple[str, ...]) -> int:
    """Run a program against the control plane, and return its exit code.

    Where none is up, one is started, which ends with the last program that is run against it. The
    program may be of another Python environment, one that has a SageMaker SDK and not this package.
    """
    from kneighbors.cli.local_program import run_program
    from kneighbors.local.environment import program_environment
    from kneighbors.local.programs import plane_for_program
    from kneighbors.local.root import made_root

    place = made_root(root)
    with plane_for_program(place) as settings:
        return run_program(program, program_environment(place, settings, os.environ))


@command.command()
@_root_option
@_json_option
def env(root: Path | None, as_json: bool) -> None:
    """Print the variables that turn a shell to the control plane."""
    from kneighbors.local.environment import foreign, variables

    place, settings = _up(root)
    wanted = variables(place, settings, os.environ)
    gone = foreign(os.environ, wanted)
    if as_json:
        write_json({"set": wanted, "unset": gone})
        return
    for name, value in wanted.items():
        write_line(f"export {name}={shlex.quote(value)}")
    for name in gone:
        write_line(f"unset {name}")


@command.command()
@_root_option
@_json_option
def status(root: Path | None, as_json: bool) -> None:
    """Show jobs, endpoints and buckets, and what lives in memory only."""
    from kneighbors.cli.local_status import show_status
    from kneighbors.local.process import plane_status

    _, settings = _up(root)
    found = plane_status(settings)
    if as_json:
        write_json(found)
    else:
        show_status(found, stdout_console())


@command.command()
@_root_option
@click.option("-f", "--follow", is_flag=True, help="Go on until the job or endpoint has ended.")
@click.argument("name")
def logs(root: Path | None, follow: bool, name: str) -> None:
    """Print the log of a job or an endpoint."""
    from kneighbors.cli.local_logs import show_logs
    from kneighbors.local.root import found_root

    show_logs(found_root(root), name, follow=follow)


@command.command()
@_root_option
@_json_option
def down(root: Path | None, as_json: bool) -> None:
    """End the control plane, its jobs and its endpoints; the state stays on the disk."""
    from kneighbors.local.process import end_plane
    from kneighbors.local.root import found_root

    place = found_root(root)
    ended = end_plane(place)
    if as_json:
        write_json({"root": str(place), "ended": None if ended is None else ended.pid})
    elif ended is None:
        remark(f"No control plane is up on {place}.")
    else:
        write_line(f"Ended process {ended.pid}, {ended.url}. The state is in {place}.")


def _up(root: Path | None) -> tuple[Path, Settings]:
    from kneighbors.local.root import demand_running, found_root

    place = found_root(root)
    return place, demand_running(place)


def _show_up(root: Path, settings: Settings, as_json: bool) -> None:
    if as_json:
        document: dict[str, Any] = {"url": settings.url, "pid": settings.pid, "root": str(root)}
        write_json(document | {"role_arn": settings.role_arn, "log": str(root / "plane.log")})
        return
    option = f" --root {shlex.quote(str(root))}"
    write_line(f"SageMaker on this machine: {settings.url}")
    write_line(f"  process {settings.pid}, state in {root}")
    write_line(f"  role {settings.role_arn}")
    write_line(f"  kneighbors local run{option} -- python notebook.py")
