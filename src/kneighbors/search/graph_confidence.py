"""Confidence bounds for a mean recall, with the query as the unit that is drawn.

The hits of one query depend on each other: where a search misses a neighbourhood, it misses all of
it. An interval for shares (Clopper and Pearson, Wilson) over single hits takes them for independent
and comes out too narrow. A t-interval or a bootstrap over the recalls of queries takes no width at
all where every query of the sample has a recall of 1, which is what good settings show. So the
bounds here are those of a gambler who bets against a mean: if the mean recall were m, no way of
betting on the next query's recall would be expected to gain; a stake that has grown 1 / (1 -
confidence) times is evidence against m at that confidence (Ville's inequality). They hold for every
distribution of recalls and for every number of queries, and are nearly as narrow as can be:
I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", Journal of
the Royal Statistical Society B 86 (2024), section 4.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

#: Of what may be lost in one bet; all of it would be ruin by one recall of zero.
_BOLDEST = 0.95
_STEPS = 50


def lower_bound(values: Float64Array, confidence: float) -> float:
    """Return a number that the mean is at least, with the given confidence.

    Parameters
    ----------
    values : ndarray of shape (n,), dtype float64
        Drawn independently, between 0 and 1.
    confidence : float
        Such as 0.95, one-sided.

    Returns
    -------
    float
        0 for no values.

    Examples
    --------
    >>> round(lower_bound(np.ones(1000), 0.95), 4)
    0.9968
    """
    if not len(values):
        return 0.0
    gain = math.log(1 / (1 - confidence))
    stakes = _stakes(values, gain)
    low, high = 0.0, float(values.mean())
    # What the gambler wins falls as the mean that is bet against rises.
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle <= 0 or _largest_gain(values, stakes, middle) >= gain:
            low = middle
        else:
            high = middle
    return low


def interval(values: Float64Array, confidence: float) -> tuple[float, float]:
    """Return two numbers that the mean lies between, with the given confidence.

    Examples
    --------
    >>> low, high = interval(np.tile([1.0, 0.9], 500), 0.95)
    >>> low < 0.95 < high
    True
    """
    each = (1 + confidence) / 2
    return lower_bound(values, each), 1 - lower_bound(1 - values, each)


def fewest_queries(target: float, confidence: float) -> int:
    """Return how many queries it takes to show a mean of `target`, if all have a recall of 1.

    Examples
    --------
    >>> fewest_queries(0.9, 0.95), fewest_queries(0.99, 0.95)
    (31, 320)
    """
    most = 1
    while lower_bound(np.ones(most), confidence) < target:
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        if lower_bound(np.ones(middle), confidence) >= target:
            most = middle
        else:
            least = middle
    return most


def _stakes(values: Float64Array, gain: float) -> Float64Array:
    """Return what is staked on each value, knowing only those before it."""
    n = len(values)
    means = (0.5 + np.cumsum(values)) / (np.arange(n) + 2)
    squares = np.concatenate([[0.0], np.square(values - means)[:-1]])
    variances = (0.25 + np.cumsum(squares)) / (np.arange(n) + 1)
    return np.asarray(np.sqrt(2 * gain / (n * variances)))


def _largest_gain(values: Float64Array, stakes: Float64Array, mean: float) -> float:
    """Return the logarithm of the most that betting against `mean` has grown to."""
    bets = np.minimum(stakes, _BOLDEST / mean)
    return float(np.cumsum(np.log1p(bets * (values - mean))).max())
