"""Artifacts whose every answer tells which of them it came from, and readers that look for it."""

from __future__ import annotations

import contextlib
import json
import os
import select
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from kneighbors.artifact import Artifact, open_artifact, save
from kneighbors.errors import KNeighborsError
from kneighbors.generations import Follower
from kneighbors.generations.loading import opened
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.faults_seccomp import forked

ROWS, FEATURES, NEIGHBORS = 60, 8, 5
#: How far the corpora of two kinds lie apart: a distance from the query tells whose it is.
_APART = 1_000.0


def make_kind(path: Path, kind: int) -> None:
    """Save an artifact of a kind, from 0 on; ids and distances of its answers tell the kind."""
    X = np.random.default_rng(kind).uniform(0, 1, (ROWS, FEATURES)).astype(np.float32)
    X[:, 0] += _APART * (kind + 1)
    ids = [f"{kind}-{row}" for row in range(ROWS)]
    save(path, ExactIndex.build(ArrayRows(X), "euclidean"), Catalog(ROWS, ids=ids))


def kind_of(artifact: Artifact) -> int:
    """Ask an artifact for neighbours, and return the kind that all of the answer is of.

    Raises
    ------
    AssertionError
        When the answer is made of several kinds.
    """
    query = np.zeros((1, FEATURES), np.float32)
    distances, rows = artifact.index.kneighbors(query, NEIGHBORS)
    return whole_kind(distances[0], artifact.catalog.ids_of(rows[0]))


def whole_kind(distances: Iterable[float], ids: Iterable[object]) -> int:
    """Return the kind that all of an answer is of.

    Raises
    ------
    AssertionError
        When it is made of several.
    """
    kinds = {int(distance // _APART) - 1 for distance in distances}
    kinds |= {int(str(one).partition("-")[0]) for one in ids}
    assert len(kinds) == 1, f"one answer of the kinds {sorted(kinds)}"
    return kinds.pop()


class Reader:
    """A process that goes on asking a place until it is told to stop.

    Parameters
    ----------
    step : callable
        Asks once or a few times, and counts what came of it.
    """

    def __init__(self, step: Callable[[Counter[str]], None]) -> None:
        stop, self._stop = os.pipe()
        self._counts, out = os.pipe()
        self.pid = forked()
        if self.pid == 0:
            try:
                os.close(self._stop)
                counts: Counter[str] = Counter()
                while not select.select([stop], [], [], 0)[0]:
                    _step(step, counts)
                os.write(out, json.dumps(counts).encode())
            finally:
                os._exit(0)
        os.close(stop)
        os.close(out)

    def stop(self) -> Counter[str]:
        """End the process and return its counts."""
        # Closing would not do: later processes have this end of the pipe too.
        os.write(self._stop, b"x")
        os.close(self._stop)
        data = b""
        while piece := os.read(self._counts, 4096):
            data += piece
        os.close(self._counts)
        os.waitpid(self.pid, 0)
        return Counter(json.loads(data))


def _step(step: Callable[[Counter[str]], None], counts: Counter[str]) -> None:
    try:
        step(counts)
    except AssertionError as error:
        counts[f"wrong: {error}"] += 1
    except KNeighborsError as error:
        counts[f"refused: {error.code}"] += 1
    except Exception as error:
        counts[f"failed: {type(error).__name__}: {error}"] += 1


def following(place: Path) -> Callable[[Counter[str]], None]:
    """Return what a server does: keep a generation open, and go over when the pointer has moved."""
    follower = Follower(place)
    kept: list[Artifact] = []

    def step(counts: Counter[str]) -> None:
        generation = follower.poll()
        if generation is not None and generation.path is not None:
            with contextlib.suppress(IndexError):
                kept.pop().close()
            kept.append(open_artifact(generation.path))
            assert kept[0].manifest.digest.startswith(generation.digest)
            counts["reloads"] += 1
        for _ in range(20):
            kind_of(kept[0])
            counts["answers"] += 1

    return step


def opening(place: Path) -> Callable[[Counter[str]], None]:
    """Return what a script does: open what the place has now, ask, and end."""

    def step(counts: Counter[str]) -> None:
        with opened(place, open_artifact) as artifact:
            kind_of(artifact)
        counts["answers"] += 1

    return step
