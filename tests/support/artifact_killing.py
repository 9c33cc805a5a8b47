"""A process that saves and is killed at its N-th call of the system, for every N.

Run as a program: ``artifact_killing.py FOLDER WAY ACTION``. It forks a child for each N; the child
does the action with the calls counted, and kills itself by SIGKILL in the place of the N-th. The
parent then looks at what is there. The last line printed says how many children were killed;
whatever is wrong raises.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kneighbors.artifact import open_artifact, pack, publishing, save, staging, unpack, verify
from kneighbors.artifact.exchange import exchange
from support import artifact_making as making

CALLS = ("open", "write", "fsync", "mkdir", "rename", "unlink", "rmdir", "close", "fchmod", "link")


def kill_at(number: int) -> None:
    """Let this process die in the place of its N-th call of the system."""
    left = number

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapper

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))
    staging.exchange = deadly(staging.exchange)  # type: ignore[attr-defined]


def names_in(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def seed_at(path: Path) -> int | None:
    """Return which artifact is at a path, having verified and asked all of it."""
    if not path.exists() or not any(path.iterdir()):
        return None
    if not (path / "manifest.json").exists():
        ends = (".npy", ".arrow")
        assert all(n.startswith(".kneighbors-") or n.endswith(ends) for n in names_in(path))
        return None
    assert all(report.is_whole for report in verify(path))
    with open_artifact(path) as artifact:
        first = making.answers(artifact)[0]
    return [making.corpus(seed=seed).tobytes() for seed in (0, 1)].index(first)


def save_seed(path: Path, seed: int) -> None:
    save(path, making.index(seed=seed), making.catalog(), overwrite=True)


def prepare(folder: Path, action: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "a"
    if action == "over":
        save_seed(path, 0)
    elif action == "empty":
        path.mkdir()
    elif action in {"pack", "unpack"}:
        save_seed(folder / "source", 1)
        if action == "unpack":
            pack(folder / "source", folder / "source.tar.gz")


def act(folder: Path, action: str) -> None:
    if action == "pack":
        pack(folder / "source", folder / "a.tar.gz")
    elif action == "unpack":
        unpack(folder / "source.tar.gz", folder / "a")
    else:
        save_seed(folder / "a", 1)


def check(folder: Path, action: str) -> None:
    """Look at what a killed writer left, then let a living one finish the work."""
    path = folder / "a"
    if action == "pack":
        archive = folder / "a.tar.gz"
        if archive.exists():
            assert all(report.is_whole for report in verify(archive))
        pack(folder / "source", archive, overwrite=True)
        assert names_in(folder) == ["a.tar.gz", "source"], names_in(folder)
        return
    old: set[int | None] = {0} if action == "over" else {None}
    if TWO_STEPS:
        # Between its two steps there is none; the old one waits beside.
        old |= {None}
    assert seed_at(path) in {1} | old, seed_at(path)
    save_seed(path, 0)
    assert seed_at(path) == 0
    left = set(names_in(folder)) - {"source", "source.tar.gz"}
    assert left == {"a"}, left
    assert len(names_in(path)) == 10, names_in(path)


def main(folder: Path, way: str, action: str) -> int:
    """Kill a child at every call; return how many died."""
    died = 0
    while True:
        prepare(folder, action)
        child = os.fork()
        if child == 0:
            kill_at(died + 1)
            act(folder, action)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, status
            return died
        assert os.WTERMSIG(status) == signal.SIGKILL
        died += 1
        check(folder, action)


TWO_STEPS = False

if __name__ == "__main__":
    warnings.simplefilter("ignore")  # forking beside the threads of BLAS
    os.fsync = lambda fd: None  # only a loss of power could tell
    if sys.argv[2] == "in place":
        publishing.is_mount = lambda path: path.is_dir()
    elif sys.argv[2] == "two steps":
        TWO_STEPS = True
        staging.exchange = lambda one, other: False  # type: ignore[attr-defined]
    else:
        assert staging.exchange is exchange  # type: ignore[attr-defined]
    print(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))  # noqa: T201
