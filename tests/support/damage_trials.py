"""A program that damages an artifact again and again, opens it, and counts what came of it.

In a process of its own, so that one that is killed is counted and is not the end of the tests.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from kneighbors.artifact import open_artifact
from kneighbors.artifact.keys import PublicKeys
from kneighbors.errors import KNeighborsError
from support.whole_artifact import everything


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Return other bytes: a bit or a byte changed, or the end, or one byte, cut away."""
    place = int(random.integers(len(data)))
    kind = int(random.integers(4))
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + data[place + 1 :]
    changed = bytearray(data)
    changed[place] ^= 1 << int(random.integers(8)) if kind == 2 else int(random.integers(1, 256))
    return bytes(changed)


def run(source: Path, keys: Path, seed: int, count: int) -> dict[str, int]:
    """Damage the files of a directory, or an archive, and return the counts.

    Half of the damage falls on a file by its size, half on each file alike.
    """
    random = np.random.default_rng(seed)
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    contents = [file.read_bytes() for file in files]
    sizes = np.array([len(data) for data in contents], dtype=float)
    trusted = PublicKeys.read(keys)
    with open_artifact(source) as artifact:
        expected = everything(artifact)
    counts = {"tried": 0, "detected": 0, "wrong": 0, "silent": 0}
    for trial in range(count):
        by_size = None if trial % 2 else sizes / sizes.sum()
        chosen = int(random.choice(len(files), p=by_size))
        file = files[chosen]
        file.write_bytes(damaged(contents[chosen], random))
        options: dict[str, Any] = {"mapped": trial % 4 < 2}
        if trial % 3 == 0 or file.name == "manifest.sig":
            options["require_signature"] = trusted
        try:
            with open_artifact(source, **options) as artifact:
                outcome = "silent" if everything(artifact) == expected else "wrong"
        except KNeighborsError:
            outcome = "detected"
        counts["tried"] += 1
        counts[outcome] += 1
        if outcome != "detected":
            sys.stderr.write(f"{outcome}: {file.name}, trial {trial} of seed {seed}\n")
        file.write_bytes(contents[chosen])
    return counts


if __name__ == "__main__":
    # Nobody waits for the disk: only a loss of power could tell.
    os.fsync = lambda number: None  # type: ignore[assignment]
    print(json.dumps(run(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5]))))  # noqa: T201
