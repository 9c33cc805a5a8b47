"""``kneighbors serve``: an artifact over HTTP. What can be set is `kneighbors.server.settings`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

import click

from kneighbors.cli.failures import Ended
from kneighbors.server.settings import Settings

_EPILOG = """\b
Examples:
  kneighbors serve M
  kneighbors serve M --explorer
  kneighbors serve s3://bucket/wines --follow-seconds 10
  kneighbors serve model.tar.gz --host 0.0.0.0 --port 9000 --workers 4
  curl http://127.0.0.1:8080/ping
  curl http://127.0.0.1:8080/invocations -H 'Content-Type: application/json' \\
      -d '{"ids": ["wine-0000042"], "k": 5}'

What is not given comes from the variable in brackets. SIGTERM and SIGINT
answer what is in flight, then end the server.

\b
Exit codes: 0 ended by a signal; 1 the artifact is at fault; 2 wrong usage, or
a port that cannot be had.
"""

_KINDS: dict[str, type] = {"int": int, "float": float, "str": str}
#: What a person sets; the rest comes after it, in the order of the settings.
_FIRST = ("host", "port", "workers")
_SEEN = (
    "Hint: whoever may list this machine's processes sees a token on the command line. Give it in "
    "KNEIGHBORS_AUTH_TOKEN, or in a file by --auth-token-file."
)
#: Shorter names that some have as well.
_SHORT = {"max_body_bytes": "--max-body"}
#: What is off unless its option is there.
_FLAGS = ("explorer",)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an option of every setting, its help and its variable included."""
    known = {setting.name: setting for setting in fields(Settings) if setting.name != "model"}
    own = [name for name in Settings.__annotations__ if name in known]
    names = dict.fromkeys((*_FIRST, *own, *known))
    for name in reversed(list(names)):
        function = _option(known[name])(function)
    return function


def _option(setting: Field[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    about = setting.metadata
    if setting.name in _FLAGS:
        return click.option(
            f"--{setting.name}",
            flag_value="true",
            help=f"{about['help']} [{about['variable']}; {setting.default}]",
        )
    unit = f" {about['unit']}" if about["unit"] else ""
    default = f"; {setting.default}{unit}" if setting.default != "" else ""
    names = [f"--{setting.name.replace('_', '-')}", setting.name]
    if setting.name in _SHORT:
        names.insert(1, _SHORT[setting.name])
    return click.option(
        *names,
        type=click.Choice(about["one_of"]) if about["one_of"] else _KINDS[str(setting.type)],
        metavar=None if about["one_of"] else ("TEXT" if str(setting.type) == "str" else "N"),
        help=f"{about['help']} [{about['variable']}{default}]",
    )


@click.command(name="serve", epilog=_EPILOG)
@click.argument("model", metavar="M")
@_options
def command(model: str, **given: Any) -> None:
    """Serve an artifact: /ping, /invocations and what else SageMaker asks for.

    M is a directory or a .tar.gz, as kneighbors train saves it; or a place, a
    directory or s3://bucket/prefix, whose current generation is served, and
    followed by what kneighbors publish publishes there.
    """
    from kneighbors.server.run import serve

    if given["auth_token"]:
        click.echo(_SEEN, err=True)
    raise Ended(serve(settings=Settings.from_environment(model=model, **given)))
