"""What a SageMaker container runs: ``docker run IMAGE serve`` and ``docker run IMAGE train``.

Both are console scripts; ``python -m kneighbors.cli.container VERB`` is the same, for an
ENTRYPOINT. They have no options: a container is set up by variables and by the files below
``/opt/ml``. Neither click nor rich is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
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

_SERVE_HELP = """\
Usage: serve

  Serve the model of a SageMaker container: what is in /opt/ml/model, an
  artifact or a script's, on port 8080 of all addresses.

Variables:
  SAGEMAKER_BASE_DIR              in place of /opt/ml
  SAGEMAKER_BIND_TO_PORT          in place of 8080
  SAGEMAKER_MODEL_SERVER_WORKERS  processes that answer
  SAGEMAKER_MULTI_MODEL           true: serve the models of /opt/ml/models
  SAGEMAKER_PROGRAM               the script, if there is one
  KNEIGHBORS_MODEL                in place of /opt/ml/model

  and every other one that the reference of the HTTP server names.

Exit codes: 0 ended by a signal; 1 the model is at fault; 2 wrong usage, a
variable that is malformed, or a port that cannot be had.
"""

_TRAIN_HELP = """\
Usage: train

  Train as the files below /opt/ml/input/config say: by the script that the
  hyperparameters name, or else by kneighbors train on the channels.

Variables:
  SAGEMAKER_BASE_DIR              in place of /opt/ml

Exit codes: 0 done; 1 the job failed, and /opt/ml/output/failure says why;
2 wrong usage; 143 stopped by SIGTERM.
"""

_HELP = {"serve": _SERVE_HELP, "train": _TRAIN_HELP}
_USAGE = """\
Usage: python -m kneighbors.cli.container serve|train

  What a SageMaker container runs. 'serve --help' and 'train --help' say more.
"""


def run(arguments: Sequence[str]) -> int:
    """Do what a container is told to, and return the exit code.

    Parameters
    ----------
    arguments : sequence of str
        ``serve`` or ``train``, and ``--help`` or nothing.
    """
    verb, *rest = arguments or [""]
    if verb in ("--help", "-h"):
        sys.stdout.write(_USAGE)
        return EXIT_OK
    if verb not in _HELP:
        return _wrong_usage("serve or train", verb)
    if rest in (["--help"], ["-h"]):
        sys.stdout.write(_HELP[verb])
        return EXIT_OK
    if rest:
        return _wrong_usage("no arguments", rest[0])
    try:
        return _serve() if verb == "serve" else _train()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Terminated:
        return EXIT_TERMINATED
    except Exception as error:
        return report(error, as_json=False)


def _serve() -> int:
    with interruptible():
        from kneighbors.server.run import serve

        return serve(settings=container_settings(os.environ), environ=os.environ)


def _train() -> int:
    # It sees to signals itself: what is there has to be saved.
    from kneighbors.sagemaker.container_training import run as train

    return train(os.environ)


def _wrong_usage(expected: str, got: str) -> int:
    sys.stderr.write(f"error: [usage] Expected {expected}, got {got!r:.100}.\n")
    return EXIT_USAGE


def container_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of a server in a container; see `kneighbors.server.variables`."""
    from kneighbors.server.variables import container_settings

    return container_settings(environ)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
