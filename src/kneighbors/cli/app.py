"""The group of commands, each loaded when it is called, and the one place where they end."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from kneighbors import __version__
from kneighbors.cli.failures import (
    EXIT_BROKEN_PIPE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TERMINATED,
    EXIT_USAGE,
    Ended,
    Terminated,
    report,
)
from kneighbors.cli.signals import interruptible

#: Command to the line that ``kneighbors --help`` shows. The function ``command`` of the module
#: ``kneighbors.cli.NAME`` is the command; help for all must not import all.
COMMANDS = {
    "train": "Fit a corpus and save the artifact.",
    "serve": "Serve an artifact over HTTP, as SageMaker asks for it.",
    "query": "Ask an artifact or a server for nearest neighbours.",
    "evaluate": "Measure how good the answers are: against exact search, or what people chose.",
    "join": "Find the neighbours of every row of a file, or of a corpus among themselves.",
    "plan": "Say what a corpus of a given size would take: instances, memory, cost, latency.",
    "explore": "Open a page to explore an artifact in: search, neighbours, filters, a map.",
    "inspect": "Show what an artifact holds, and check every byte.",
    "sign": "Say by a key who made an artifact, or check it.",
    "publish": "Copy an artifact into a place, as the generation that counts from now on.",
    "rollback": "Let an earlier generation of a place count again.",
    "generations": "List what was published to a place, and check it.",
    "package": "Make a model.tar.gz for SageMaker, with all that its image needs.",
    "convert": "Turn a pickled scikit-learn model into an artifact.",
    "merge": "Join the artifacts of several training hosts into one.",
    "deploy": "Make an endpoint of an artifact, on SageMaker or on this machine.",
    "delete": "Remove an endpoint and what it was made of.",
    "transform": "Answer whole files of queries with a batch transform job.",
    "sagemaker": "Write the script of a SageMaker job, ready to be edited.",
    "local": "SageMaker on this machine, without an account or Docker.",
    "demo": "Fit, save, serve and query 180,000 wines, and compare with scikit-learn.",
}
_EPILOG = """\b
Examples:
  kneighbors train --train vectors.npy --model-dir M
  kneighbors serve M
  kneighbors query M --row 7

\b
Exit codes: 0 done; 1 the data, the artifact or the service is at fault;
2 wrong usage; 130 interrupted; 141 output closed; 143 terminated.
"""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"kneighbors.cli.{cmd_name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown command with the nearest known one."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"Expected one of {', '.join(COMMANDS)}, got {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(__version__, prog_name="kneighbors", message="%(prog)s %(version)s")
def application() -> None:
    """Exact nearest neighbours of embeddings: fit, save, serve, query."""


def run(arguments: Sequence[str]) -> int:
    """Run one command, and return its exit code.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``kneighbors`` on the command line.

    Returns
    -------
    int
        See ``kneighbors --help``.
    """
    try:
        return _ended(list(arguments))
    except BrokenPipeError:
        return _closed_output()


def _ended(arguments: list[str]) -> int:
    """Run one command; whatever ends it becomes a word and an exit code."""
    as_json = "--json" in arguments
    try:
        with interruptible():
            code = _invoke(arguments)
            sys.stdout.flush()
            return code
    except click.ClickException as error:
        return _usage(error, as_json=as_json)
    except Ended as end:
        return end.exit_code
    except (KeyboardInterrupt, click.Abort) as end:
        _say_end("interrupted", end)
        return EXIT_INTERRUPTED
    except Terminated as end:
        _say_end("terminated", end)
        return EXIT_TERMINATED
    except BrokenPipeError:
        raise
    except Exception as error:
        return report(error, as_json=as_json)


def _say_end(how: str, end: BaseException) -> None:
    """Say what ended a command, and what goes on without it."""
    for remark in getattr(end, "__notes__", ()):
        sys.stderr.write(f"{remark}\n")
    sys.stderr.write(f"{how}\n")


def _invoke(arguments: list[str]) -> int:
    if "_KNEIGHBORS_COMPLETE" in os.environ:
        application.main(args=arguments, prog_name="kneighbors")
    if not arguments:
        context = click.Context(application, info_name="kneighbors", **application.context_settings)
        sys.stderr.write(application.get_help(context) + "\n")
        return EXIT_USAGE
    try:
        # Not `application.main`: it would turn a closed pipe and an interrupt to exit code 1.
        with application.make_context("kneighbors", arguments) as context:
            result = application.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return result if isinstance(result, int) else EXIT_OK


def _usage(error: click.ClickException, *, as_json: bool) -> int:
    if as_json:
        facts = {"code": "usage", "message": error.format_message(), "where": None, "hint": None}
        sys.stdout.write(json.dumps({"error": facts}) + "\n")
        sys.stdout.flush()
        return EXIT_USAGE
    context = getattr(error, "ctx", None)
    if context is not None:
        path = context.command_path
        sys.stderr.write(f"{context.get_usage()}\nTry '{path} --help' for help.\n\n")
    sys.stderr.write(f"error: [usage] {error.format_message()}\n")
    return EXIT_USAGE


def _closed_output() -> int:
    # Python flushes both at exit once more; a closed pipe would make it complain.
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(null, stream.fileno())
    os.close(null)
    return EXIT_BROKEN_PIPE
