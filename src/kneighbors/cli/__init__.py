"""The command line: ``kneighbors`` and, for containers, ``serve`` and ``train``.

It translates arguments to calls and results to text, and computes nothing. The functions here
import what they need when they run, so that each command loads only its own part, and a missing
dependency is one line.
"""

from __future__ import annotations

import sys

__all__ = ["main", "serve_container", "train_container"]


def main() -> None:
    """Run ``kneighbors`` with the arguments of the process, and exit."""
    try:
        from kneighbors.cli.app import run
    except ModuleNotFoundError as error:
        sys.exit(_missing(error, ("click",), "cli"))
    except KeyboardInterrupt:
        # Interrupted before `run` could see to it.
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


def serve_container() -> None:
    """Host the model of a SageMaker container, as ``docker run IMAGE serve`` does, and exit."""
    from kneighbors.cli.container import run

    sys.exit(run(["serve", *sys.argv[1:]]))


def train_container() -> None:
    """Train in a SageMaker container, as ``docker run IMAGE train`` does, and exit."""
    from kneighbors.cli.container import run

    sys.exit(run(["train", *sys.argv[1:]]))


def _missing(error: ModuleNotFoundError, packages: tuple[str, ...], extra: str) -> int:
    from kneighbors.errors import missing_extra

    if error.name not in packages:
        raise error
    failure = missing_extra(error.name, extra)
    sys.stderr.write(f"error: [{failure.code}] {failure}\n")
    return 1
