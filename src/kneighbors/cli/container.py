"""The console script ``serve``: what ``docker run IMAGE serve`` runs in a SageMaker container.

It has no options: a container is set up by variables. Neither click nor rich is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from kneighbors.cli.failures import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TERMINATED,
    EXIT_USAGE,
    Terminated,
    report,
)
from kneighbors.cli.signals import interruptible

if TYPE_CHECKING:
    from kneighbors.server.settings import Settings

_BASE_DIR = "/opt/ml"
_HELP = """\
Usage: serve

  Serve the model of a SageMaker container: the artifact in /opt/ml/model, on
  port 8080 of all addresses.

Variables:
  SAGEMAKER_BASE_DIR              in place of /opt/ml
  SAGEMAKER_BIND_TO_PORT          in place of 8080
  SAGEMAKER_MODEL_SERVER_WORKERS  processes that answer
  KNEIGHBORS_MODEL                in place of /opt/ml/model

  and every other one that 'kneighbors serve --help' names.

Exit codes: 0 ended by a signal; 1 the model is at fault; 2 wrong usage, or a
port that cannot be had.
"""


def run(arguments: Sequence[str]) -> int:
    """Serve until a signal comes, and return the exit code.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``serve``; ``--help`` or nothing.
    """
    if list(arguments) in (["--help"], ["-h"]):
        sys.stdout.write(_HELP)
        return EXIT_OK
    if arguments:
        sys.stderr.write(f"error: [usage] Expected no arguments, got {arguments[0]!r}.\n")
        return EXIT_USAGE
    try:
        with interruptible():
            from kneighbors.server.run import serve

            return serve(settings=container_settings(os.environ))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Terminated:
        return EXIT_TERMINATED
    except Exception as error:
        return report(error, as_json=False)


def container_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of a server in a container.

    Parameters
    ----------
    environ : mapping of str to str
        Usually ``os.environ``.

    Raises
    ------
    ParameterRefused
        If a variable is out of its bounds.

    Examples
    --------
    >>> settings = container_settings({"SAGEMAKER_BASE_DIR": "/tmp/ml"})
    >>> settings.model, settings.host, settings.port
    ('/tmp/ml/model', '0.0.0.0', 8080)
    """
    from kneighbors.server.settings import Settings

    base = environ.get("SAGEMAKER_BASE_DIR", "").strip() or _BASE_DIR
    unset = {
        "KNEIGHBORS_MODEL": ("model", str(PurePath(base) / "model")),
        # The platform connects from outside the container.
        "KNEIGHBORS_HOST": ("host", "0.0.0.0"),  # noqa: S104
    }
    given = {
        name: value
        for variable, (name, value) in unset.items()
        if not environ.get(variable, "").strip()
    }
    return Settings.from_environment(environ, **given)
