"""Seeded corpora for the benchmarks, each with its queries.

Made in blocks of rows, each from a seed of its own, so that no more than a block need be in memory.

    wines        tasting notes as means of term vectors: a steep spectrum, 300 dimensions
    clustered    tight clusters of a thousand rows
    flat         many loose clusters, ten leading directions holding less than 40 % of the variance,
                 as in the embeddings of sentences
    isotropic    noise, in which no direction is better than another
    duplicates   rows that occur twice or thousands of times, and hubs that are near to everything
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_BLOCK = 16_384
_ROWS_OF_CLUSTER = {"clustered": 1000, "flat": 40, "duplicates": 5}


def _wines(n: int, d: int, start: int, stop: int) -> Array:
    from kneighbors.datasets.embedding import embed_terms
    from kneighbors.datasets.tasting import taste

    if d != 300:
        raise ValueError(f"Wines have 300 dimensions, not {d}.")
    return np.asarray(embed_terms(taste(0, np.arange(start, stop)).terms))


def _isotropic(n: int, d: int, start: int, stop: int) -> Array:
    return np.asarray(_random(1, start).standard_normal((stop - start, d), np.float32))


def _clustered(n: int, d: int, start: int, stop: int) -> Array:
    centres = _centres("clustered", n, d)
    random = _random(6, start)
    of = random.integers(len(centres), size=stop - start)
    X = centres[of]
    X += np.float32(0.2) * random.standard_normal(X.shape, np.float32)
    return X


def _flat(n: int, d: int, start: int, stop: int) -> Array:
    centres = _centres("flat", n, d)
    random = _random(3, start)
    X = centres[random.integers(len(centres), size=stop - start)]
    X += np.float32(0.7) * random.standard_normal(X.shape, np.float32)
    return np.asarray(X @ _turn(d))


@lru_cache(maxsize=1)
def _turn(d: int) -> Array:
    """Return a matrix that gives each direction its share of the variance, and turns them all."""
    scales = (1 + np.arange(d)) ** -0.45
    basis = np.linalg.qr(np.random.default_rng(2).standard_normal((d, d)))[0]
    return np.asarray(scales[:, np.newaxis] * basis, np.float32)


def _duplicates(n: int, d: int, start: int, stop: int) -> Array:
    centres = _centres("duplicates", n, d)
    originals = centres[np.arange(1000) % len(centres)]
    originals += np.float32(0.3) * _random(7, 0).standard_normal((1000, d), np.float32)
    random = _random(8, start)
    X = centres[random.integers(len(centres), size=stop - start)]
    X += np.float32(0.5) * random.standard_normal(X.shape, np.float32)
    kind = random.random(len(X))
    copies = np.flatnonzero(kind < 0.3)
    # The first of the originals is a tenth of the corpus' copies, the last hardly there.
    X[copies] = originals[(1000 * random.random(len(copies)) ** 3).astype(np.int64)]
    hubs = np.flatnonzero(kind > 0.98)
    X[hubs] = np.float32(0.05) * random.standard_normal((len(hubs), d), np.float32)
    X += np.float32(0.5)  # what all rows have in common, and a hub has nothing else
    return X


def _random(seed: int, start: int) -> np.random.Generator:
    return np.random.default_rng([seed, start])


@lru_cache(maxsize=1)
def _centres(name: str, n: int, d: int) -> Array:
    clusters = max(1, n // _ROWS_OF_CLUSTER[name])
    return np.random.default_rng(5).standard_normal((clusters, d), np.float32)


@dataclass(frozen=True)
class Corpus:
    """How a corpus is made, and its customary shape."""

    block: Callable[[int, int, int, int], Array]
    rows: int
    width: int

    def blocks(self, n: int, d: int) -> Iterator[tuple[int, Array]]:
        """Yield pieces of a corpus of n rows, each with the number of its first row."""
        for start in range(0, n, _BLOCK):
            yield start, self.block(n, d, start, min(start + _BLOCK, n))


CORPORA = {
    "wines": Corpus(_wines, 180_000, 300),
    "clustered": Corpus(_clustered, 100_000, 128),
    "flat": Corpus(_flat, 100_000, 384),
    "isotropic": Corpus(_isotropic, 100_000, 300),
    "duplicates": Corpus(_duplicates, 100_000, 300),
}


def make(name: str, rows: int | None = None, width: int | None = None) -> Array:
    """Return a corpus by name, float32, of its customary shape or another."""
    corpus = CORPORA[name]
    n, d = rows or corpus.rows, width or corpus.width
    X = np.empty((n, d), np.float32)
    for start, block in corpus.blocks(n, d):
        X[start : start + len(block)] = block
    return X


def write(name: str, path: Path, rows: int, width: int | None = None) -> None:
    """Write a corpus into a .npy file, of which no more than a block is ever in memory."""
    corpus = CORPORA[name]
    d = width or corpus.width
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, d)}
        np.lib.format.write_array_header_1_0(file, header)
        for _, block in corpus.blocks(rows, d):
            block.astype("<f4", copy=False).tofile(file)


def queries(X: Array, count: int, seed: int = 3) -> Array:
    """Return `count` queries: in turn rows, and means of two rows, which are foreign."""
    random = np.random.default_rng(seed)
    rows = random.integers(len(X), size=(2, count))
    Q = (X[rows[0]] + X[rows[1]]) / np.float32(2)
    Q[::2] = X[rows[0][::2]]
    return np.asarray(Q, np.float32)
