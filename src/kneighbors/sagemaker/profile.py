"""What a corpus is like before it is fitted: norms, zero rows, rows that come twice.

One pass, a block of rows at a time, so that a memory-mapped corpus stays on disk; kept are eight
bytes a row for its norm and eight for a key of a few columns. Rows that share a key are read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.progress import Progress

_BLOCK_BYTES = 16 << 20
#: Columns that tell most rows apart, so that few need be hashed whole.
_KEY_COLUMNS = 8
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class CorpusProfile:
    """Figures of a corpus.

    Parameters
    ----------
    zero_rows : int
        Rows of norm zero.
    duplicate_rows : int
        Rows that equal an earlier row, element by element.
    norms : dict of str to float
        ``min``, ``median``, ``mean`` and ``max`` of the rows' Euclidean norms.
    all_norms : ndarray of shape (n_samples,), dtype float64
        The norm of each row.
    """

    zero_rows: int
    duplicate_rows: int
    norms: dict[str, float]
    all_norms: NDArray[np.float64] = field(repr=False, compare=False)


def profile_corpus(X: NDArray[np.floating[Any]], progress: Progress | None = None) -> CorpusProfile:
    """Count and measure the rows of a checked corpus.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32 or float64
        Finite and C-contiguous; may be memory-mapped.
    progress : Progress, optional
        Called with the stage ``"profiling"`` and rows.

    Returns
    -------
    CorpusProfile

    Notes
    -----
    Duplicates are counted by 64-bit hashes of the rows: two different rows are taken for one with
    a chance of ``n_samples ** 2 / 2 ** 65``, under one in a billion for 180,000 rows. Cost:
    ``O(n_samples * n_features)``, some 40 bytes a row and a few blocks of 16 MiB.

    Examples
    --------
    >>> profile_corpus(np.array([[3.0, 4.0], [0.0, 0.0], [3.0, 4.0], [-0.0, 0.0]]))
    CorpusProfile(zero_rows=2, duplicate_rows=2,
                  norms={'min': 0.0, 'median': 2.5, 'mean': 2.5, 'max': 5.0})
    """
    n_samples = X.shape[0]
    norms = np.empty(n_samples)
    keys = np.empty(n_samples, dtype=np.uint64)
    for start, stop in _blocks(X):
        block = np.asarray(X[start:stop])
        norms[start:stop] = _norms_of(block)
        keys[start:stop] = _keys_of(block)
        if progress is not None:
            progress("profiling", stop, n_samples)
    return CorpusProfile(
        zero_rows=int(np.count_nonzero(norms == 0.0)),
        duplicate_rows=_duplicates(X, keys),
        norms={
            "min": float(norms.min()),
            "median": float(np.median(norms)),
            # Divided first: the sum of norms near the largest float would be infinite.
            "mean": float((norms / n_samples).sum()),
            "max": float(norms.max()),
        },
        all_norms=norms,
    )


def _blocks(X: NDArray[np.floating[Any]]) -> Iterator[tuple[int, int]]:
    height = max(1, _BLOCK_BYTES // max(1, 8 * X.shape[1]))
    for start in range(0, len(X), height):
        yield start, min(start + height, len(X))


def _norms_of(block: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    wide = block.astype(np.float64)
    if block.dtype == np.float32:  # no square of one over- or underflows a float64
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", wide, wide)))
    # Scaled by a power of two, exactly, so that squares neither overflow nor vanish.
    _, powers = np.frexp(np.abs(wide).max(axis=1))
    wide = np.ldexp(wide, -powers[:, np.newaxis])
    with np.errstate(over="ignore"):
        norms = np.ldexp(np.sqrt(np.einsum("ij,ij->i", wide, wide)), powers)
    return np.asarray(np.minimum(norms, np.finfo(np.float64).max))


def _keys_of(block: NDArray[np.floating[Any]]) -> NDArray[np.uint64]:
    """Return a number for each row that equal rows share, made of a few of its columns."""
    columns = np.unique(np.linspace(0, block.shape[1] - 1, _KEY_COLUMNS).astype(int))
    # Adding zero turns -0.0 into 0.0: rows are compared as numbers, not as bytes.
    words = (block[:, columns].astype(np.float64) + 0.0).view(np.uint64)
    keys = np.zeros(len(block), dtype=np.uint64)
    for word in words.T:
        keys = (keys ^ word ^ (keys >> np.uint64(29))) * _ODD
    return keys


def _duplicates(X: NDArray[np.floating[Any]], keys: NDArray[np.uint64]) -> int:
    """Count rows that equal an earlier one; only those that share a key are looked at whole."""
    _, places, counts = np.unique(keys, return_inverse=True, return_counts=True)
    shared = counts[places] > 1
    hashes = [
        _hashes_of(np.asarray(X[start:stop])[shared[start:stop]])
        for start, stop in _blocks(X)
        if shared[start:stop].any()
    ]
    return int(np.count_nonzero(shared)) - np.unique(np.concatenate(hashes)).size if hashes else 0


def _hashes_of(block: NDArray[np.floating[Any]]) -> NDArray[np.uint64]:
    data = (block + 0.0).tobytes()
    width = block.shape[1] * block.itemsize
    digests = b"".join(
        hashlib.blake2b(data[at : at + width], digest_size=8).digest()
        for at in range(0, len(data), width)
    )
    return np.frombuffer(digests, dtype=np.uint64)
