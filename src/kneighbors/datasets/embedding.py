"""Term vectors made like trained word vectors, and wines' vectors as weighted means of them.

Trained vectors share one strong direction, related words lie together, and the variance decays so
fast that a hundred directions hold nearly all of it. All three are built in here, with figures
chosen so that the generated corpus' second moment decays as it does for real tasting notes; the
test of the spectrum states the figures aimed at.
"""

from __future__ import annotations

from functools import cache
from math import log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kneighbors.datasets.draws import bell, bits
from kneighbors.datasets.tasting import NO_TERM, Numbers, term_frequencies
from kneighbors.datasets.vocabulary import GROUPS, TERMS

FloatArray = NDArray[np.float32]

N_FEATURES: Final = 300

# A word's vector is the word's own: the same whatever the seed of the wines.
_SEED: Final = 0

# Lengths: along the common direction (one), from white wines to red, of a group's centre, and of a
# term's own place around it. A group's centre lies in the first coordinates, where its terms hardly
# differ from each other; both decay towards the last.
_TONE: Final = 0.54
_CENTRE: Final = 0.404
_CENTRE_DECAY: Final = 0.9215
_OWN: Final = 0.504
_OWN_DECAY: Final = 0.978
_OWN_KNEE: Final = 5.0
_OWN_RISE: Final = 12.0
_LENGTH_SPREAD: Final = 0.12

# After as many rounds each coordinate depends on every other: 2**9 exceeds 300.
_MIXING_ROUNDS: Final = 12

# A block of rows and what is added to it stay in the cache: 256 rows are 0.3 MB.
_BLOCK_ROWS: Final = 256


@cache
def term_vectors() -> FloatArray:
    """Return the vector of each term.

    Returns
    -------
    ndarray of shape (n_terms, 300), dtype float32
        Read-only, and the same object at each call.
    """
    groups = list(GROUPS.values())
    centres = bell(bits(_SEED, "centres", _grid(len(groups))))
    centres *= _CENTRE * _decay(_CENTRE_DECAY)
    own = bell(bits(_SEED, "own", _grid(len(TERMS))))
    own *= _OWN * _own_profile()

    sizes = [len(group.terms) for group in groups]
    vectors = np.repeat(centres, sizes, axis=0) + own
    vectors[:, 0] += 1.0
    vectors[:, 1] += _TONE * np.repeat([group.tone for group in groups], sizes)
    vectors *= 1.0 + _LENGTH_SPREAD * bell(bits(_SEED, "lengths", np.arange(len(TERMS))))[:, None]
    return _read_only(_mixed(vectors).astype(np.float32))


@cache
def term_weights() -> FloatArray:
    """Return each term's weight in a mean: its inverse document frequency (IDF).

    Returns
    -------
    ndarray of shape (n_terms,), dtype float32
        One plus the logarithm of one over the share of wines that the term is expected in, at least
        1. Read-only, and the same object at each call.
    """
    # The logarithm's last bit may differ between machines; rounding to float32 takes it away.
    idf = [1.0 - log(share) for share in term_frequencies()]
    return _read_only(np.array(idf, np.float32))


def embed_terms(terms: Numbers) -> FloatArray:
    """Return the weighted mean of each row's term vectors.

    Parameters
    ----------
    terms : ndarray of shape (n, width), dtype int64
        Places of terms, filled up with `NO_TERM`; each row has one term or more.

    Returns
    -------
    ndarray of shape (n, 300), dtype float32

    Notes
    -----
    O(n * width * 300). Terms are added one after the other, in float32, so a row's bits depend on
    its own terms only: neither on the other rows nor on how a library orders a sum.
    """
    weighted, weights = _weighted()
    X = np.empty((len(terms), N_FEATURES), np.float32)
    step = np.empty((_BLOCK_ROWS, N_FEATURES), np.float32)
    for start in range(0, len(terms), _BLOCK_ROWS):
        block = terms[start : start + _BLOCK_ROWS]
        total = X[start : start + _BLOCK_ROWS]
        addend = step[: len(block)]
        total[:] = 0.0
        weight = np.zeros(len(block), np.float32)
        for column in block[:, : (block != NO_TERM).sum(axis=1).max()].T:
            np.take(weighted, column, axis=0, out=addend, mode="clip")
            total += addend
            weight += weights[column]
        total /= weight[:, None]
    return X


@cache
def _weighted() -> tuple[FloatArray, FloatArray]:
    """Return weighted vectors and weights, with zeros for `NO_TERM`."""
    weights = np.append(term_weights(), np.float32(0.0))
    vectors = np.vstack([term_vectors(), np.zeros((1, N_FEATURES), np.float32)])
    return vectors * weights[:, None], weights


def _grid(rows: int) -> Numbers:
    return np.arange(rows * N_FEATURES).reshape(rows, N_FEATURES)


def _own_profile() -> NDArray[np.float64]:
    place = np.arange(N_FEATURES)
    profile = _decay(_OWN_DECAY) / np.sqrt(np.sqrt(1.0 + place / _OWN_KNEE))
    return profile * ((place + 1.0) / (place + 1.0 + _OWN_RISE))


def _decay(factor: float) -> NDArray[np.float64]:
    """Return the powers of `factor`, by products: `pow` differs between machines."""
    powers = [1.0]
    for _ in range(N_FEATURES - 1):
        powers.append(powers[-1] * factor)
    return np.array(powers)


def _mixed(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate rows, so that no coordinate means anything by itself.

    Each round shuffles the coordinates and turns half of them against the other half, by an angle
    of 45 degrees. Elementwise products and sums only: the same bits everywhere, which a matrix
    product does not give.
    """
    half = N_FEATURES // 2
    for number in range(_MIXING_ROUNDS):
        shuffle = np.argsort(bits(_SEED, f"shuffle {number}", np.arange(N_FEATURES)))
        left, right = vectors[:, shuffle[:half]], vectors[:, shuffle[half:]]
        vectors = np.hstack([left - right, left + right]) / sqrt(2.0)
    return vectors


def _read_only(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array
