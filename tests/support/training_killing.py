"""Training jobs that get a signal at a certain point, and the same jobs started again.

Run as a program: ``training_killing.py FOLDER SIGNAL POINT...``. For each point a child process
trains in a tree of its own and gets the signal there; a second child trains in the same tree
without one. A line of JSON tells how both ended, and what the second one wrote. A point is the name
of a function of the run, ``write`` and the number of a write, or ``never``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute
import pyarrow.parquet  # noqa: F401

from kneighbors.artifact import Manifest
from kneighbors.artifact.partfile import PartFile
from kneighbors.sagemaker import container_training, resuming, training
from kneighbors.sagemaker.checkpoints import Checkpoints

#: Where a function is looked up when it is called.
OWNERS: dict[str, Any] = {
    "read_corpus": resuming,
    "profile_corpus": training,
    "probe_index": training,
    "write_report": training,
    "keep": Checkpoints,
}


def arm(point: str, number: int) -> None:
    """Let this process get a signal when it comes to a point."""
    name, _, count = point.partition(":")
    left = int(count or 1)
    owner: Any = PartFile if name == "write" else OWNERS[name]

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)
            return call(*arguments, **options)

        return wrapper

    setattr(owner, name, wrapped(getattr(owner, name)))


def run(base: Path, log: Path, point: str, number: int) -> int:
    """Train in a child, and return its exit code, below zero for a signal."""
    pid = os.fork()
    if pid == 0:
        with log.open("w") as file:
            sys.stdout, sys.stderr = file, file
            if point != "never":
                arm(point, number)
            code = container_training.run({"SAGEMAKER_BASE_DIR": str(base)})
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def parts_of(model: Path) -> dict[str, str] | None:
    """Return what an artifact consists of, None if there is none."""
    with contextlib.suppress(FileNotFoundError):
        manifest = Manifest.from_bytes((model / "manifest.json").read_bytes())
        return {name: part.sha256 for name, part in manifest.parts.items()}
    return None


def main(folder: Path, number: int, points: list[str]) -> None:
    for count, point in enumerate(points):
        base = folder / f"run-{count}"
        shutil.copytree(folder / "tree", base)
        first = run(base, folder / "log", point, number)
        left = parts_of(base / "model")
        failure = (base / "output" / "failure").exists()
        # A spot instance starts anew with the data, the configuration and the checkpoints alone.
        shutil.rmtree(base / "model")
        (base / "model").mkdir()
        second = run(base, folder / "log", "never", 0)
        result = {
            "point": point,
            "first": first,
            "failure": failure,
            "left": left,
            "second": second,
            "parts": parts_of(base / "model"),
            "log": (folder / "log").read_text().splitlines(),
            "checkpoints": sorted(
                str(path.relative_to(base / "checkpoints"))
                for path in (base / "checkpoints").rglob("*")
            ),
        }
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
        shutil.rmtree(base)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
