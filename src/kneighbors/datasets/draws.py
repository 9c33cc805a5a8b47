"""Random numbers that depend on nothing but a seed, a stream's name and a row's number.

Any row can be drawn without those before it, so that generated data are the same however many rows
are asked for and in whatever pieces they are made. Only whole numbers, and sums and products of
floats in a fixed order, are used: the same bits come out on every machine and from every version of
numpy, which numpy's own generators do not promise (NEP 19).

The mixing function is SplitMix64's (Steele, Lea and Flood, 'Fast splittable pseudorandom number
generators', OOPSLA 2014, figure 16).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB

# Four whole numbers, each uniform below 2**16, together have the variance (2**32 - 1) / 3.
_BELL_SCALE: Final = sqrt(3.0 / (2.0**32 - 1.0))
_BELL_MEAN: Final = 2.0 * (2**16 - 1)


def bits(seed: int, stream: str, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Draw 64 random bits for each row.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.
    stream : str
        What is drawn; other names give independent numbers.
    rows : ndarray of any shape, dtype int64
        Numbers of rows, in any order.

    Returns
    -------
    ndarray of the shape of `rows`, dtype uint64
    """
    z = rows.astype(np.uint64)
    z *= np.uint64(_GOLDEN)
    z += np.uint64(_key_of(seed, stream))
    z ^= z >> np.uint64(30)
    z *= np.uint64(_FIRST)
    z ^= z >> np.uint64(27)
    z *= np.uint64(_SECOND)
    z ^= z >> np.uint64(31)
    return z


def below(drawn: NDArray[np.uint64], total: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn random bits into whole numbers from 0 to ``total - 1``; `total` is at most 2**31."""
    scaled = (drawn >> np.uint64(33)) * np.asarray(total, np.uint64)
    return (scaled >> np.uint64(31)).astype(np.int64)


def bell(drawn: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Turn random bits into numbers of mean 0 and variance 1, much like a normal deviate's.

    Each is the sum of four uniform ones and stays within 3.47 of 0. It needs no logarithm, whose
    last bit differs between machines.
    """
    low = np.uint64(0xFFFF)
    total = drawn & low
    for shift in (16, 32, 48):
        total += (drawn >> np.uint64(shift)) & low
    return (total.astype(np.float64) - _BELL_MEAN) * _BELL_SCALE


class Choice:
    """Weighted choices among the same things, one list of weights for each kind of chooser.

    Parameters
    ----------
    weights : sequence of sequences of int
        One list for each kind, all of one length; a list's sum is below 2**31.

    Examples
    --------
    >>> import numpy as np
    >>> coin = Choice([[1, 1], [0, 1]])
    >>> drawn = np.array([0, 2**63], np.uint64)
    >>> coin.pick(drawn), coin.pick(drawn, np.array([1, 1]))
    (array([0, 1]), array([1, 1]))
    """

    def __init__(self, weights: Sequence[Sequence[int]]) -> None:
        cumulative = np.cumsum(np.asarray(weights, np.int64), axis=1)
        self._totals = cumulative[:, -1].copy()
        # One after the other, the lists are a single rising one, searched in a single call.
        self._offsets = np.cumsum(self._totals) - self._totals
        self._width = cumulative.shape[1]
        self._rising = (cumulative + self._offsets[:, None]).ravel()

    def pick(
        self, drawn: NDArray[np.uint64], kind: NDArray[np.int64] | int = 0
    ) -> NDArray[np.int64]:
        """Choose a thing for each draw, by the weights of its kind."""
        place = below(drawn, self._totals[kind]) + self._offsets[kind]
        found = np.searchsorted(self._rising, place, side="right")
        chosen: NDArray[np.int64] = found - self._width * np.asarray(kind)
        return chosen


def _key_of(seed: int, stream: str) -> int:
    key = _mix(seed + _GOLDEN)
    for byte in stream.encode():
        key = _mix(key + _GOLDEN * (byte + 1))
    return key


def _mix(z: int) -> int:
    z &= _MASK
    z = (z ^ (z >> 30)) * _FIRST & _MASK
    z = (z ^ (z >> 27)) * _SECOND & _MASK
    return z ^ (z >> 31)
