"""A join that is killed at random instants and goes on, until it is done.

Run as a program: ``join_killing.py FOLDER KILLS [SEED]``, with ``tests`` and ``src`` on the path.
It says how often the join was killed, and fails where the answers are not, byte for byte, those of
a join that nobody disturbed.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from support import shards_making as making

ROWS_PER_PART = 50
_LONGEST = 60.0


def run(folder: Path, output: str) -> subprocess.Popen[bytes]:
    """Start a join, in a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "kneighbors", "join", str(folder / "queries.npy")),
            *("--model", str(folder / "M"), "--output", str(folder / output)),
            *("-k", "5", "--rows-per-part", str(ROWS_PER_PART), "--resume", "--no-progress"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def kill_at_random(folder: Path, kills: int, seed: int = 0) -> tuple[int, int]:
    """Return how often a join was killed, and how many parts were there each time, all added."""
    chance = random.Random(seed)
    X = making.corpus(900)
    making.write(folder / "M", X, n_shards=3)
    # So many that the join is not done before it was killed so often.
    np.save(folder / "queries.npy", np.tile(X, (8, 1)))
    began = time.monotonic()
    if run(folder, "undisturbed").wait(600) != 0:
        raise AssertionError("the join that nobody disturbed failed")
    whole = time.monotonic() - began
    killed = seen = 0
    while killed < kills:
        process = run(folder, "killed")
        time.sleep(chance.uniform(0.3, 1.0) * min(whole, _LONGEST))  # the instant is the test
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        parts = list((folder / "killed").glob("part-*"))
        seen += len(parts)
        for part in parts:
            if part.read_bytes() != (folder / "undisturbed" / part.name).read_bytes():
                raise AssertionError(f"{part.name} differs after kill {killed}")
        if (folder / "killed" / "_SUCCESS.json").exists():
            if contents(folder / "killed") != contents(folder / "undisturbed"):
                raise AssertionError("the answers differ")
            for file in (folder / "killed").iterdir():
                file.unlink()
    if run(folder, "killed").wait(600) != 0:
        raise AssertionError("the last run failed")
    if contents(folder / "killed") != contents(folder / "undisturbed"):
        raise AssertionError("the answers differ")
    return killed, seen


if __name__ == "__main__":
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    killed, seen = kill_at_random(Path(sys.argv[1]), int(sys.argv[2]), seed)
    sys.stdout.write(f"killed {killed} times; {seen} parts were looked at\n")
