"""How far a mean over users may be off: intervals by drawing the users again.

The percentile interval of Efron (1979): users are drawn with replacement, as many as there are, and
the means of the drawn ones computed, many times over. It says how much the figures depend on who
the users are; not how much they depend on which item was held out, nor how users of tomorrow
differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

#: Counts of drawn users that are held at once.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Estimate:
    """A mean over users and its interval; None where there is none.

    Attributes
    ----------
    value, low, high : float or None
    """

    value: float | None
    low: float | None
    high: float | None


def estimates_of(
    values: Float64Array, *, confidence: float, resamples: int, seed: int
) -> list[Estimate]:
    """Return the mean of each column with its interval.

    Parameters
    ----------
    values : ndarray of shape (n_users, n_columns), dtype float64
        NaN where a user has no value; means are taken over the others.
    confidence : float
        Share of the draws that lie within, between 0 and 1.
    resamples : int
        Times that users are drawn.
    seed : int
        Of the draws; they are the same for all columns, so that differences keep their pairs.

    Returns
    -------
    list of Estimate
        One for each column.

    Notes
    -----
    O(resamples * n_users * n_columns), in matrix products.
    """
    n_users, n_columns = values.shape
    present = ~np.isnan(values)
    filled = np.where(present, values, 0.0)
    together = np.hstack([filled, present.astype(np.float64)])
    drawn = np.empty((resamples, 2 * n_columns))
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // n_users)
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        users = rng.integers(n_users, size=(count, n_users))
        users += np.arange(count)[:, None] * n_users
        times = np.bincount(users.ravel(), minlength=count * n_users).reshape(count, n_users)
        drawn[start : start + count] = times.astype(np.float64) @ together
    means = _divided(drawn[:, :n_columns], drawn[:, n_columns:])
    middle = _divided(filled.sum(axis=0), present.sum(axis=0).astype(np.float64))
    tail = (1 - confidence) / 2
    return [_estimate(middle[column], means[:, column], tail) for column in range(n_columns)]


def _divided(sums: Float64Array, counts: Float64Array) -> Float64Array:
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


def _estimate(value: float, means: Float64Array, tail: float) -> Estimate:
    if np.isnan(value):
        return Estimate(None, None, None)
    # Where few users have a value, some draws have none of them.
    low, high = np.quantile(means[~np.isnan(means)], [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))
