"""The process of a plane: ``python -m kneighbors.local --root ROOT``, which `local up` starts."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from kneighbors.errors import KNeighborsError
from kneighbors.local.root import Settings, made_root
from kneighbors.local.starting import run


def main(arguments: list[str]) -> int:
    """Be a plane; return the exit code."""
    parser = argparse.ArgumentParser(prog="kneighbors.local")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--image", action="append", default=[])
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        run(made_root(given.root), given.port, given.image, _say)
    except KNeighborsError as error:
        # One line, which `local up` shows to the user.
        sys.stderr.write(f"error: [{error.code}] {error}\n")
        return 1
    return 0


def _say(settings: Settings) -> None:
    sys.stderr.write(f"ready: {settings.url} (process {settings.pid})\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
