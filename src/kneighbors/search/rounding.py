"""Rounding that errs on the safe side, and the constants of the error bounds.

`docs/explanation/exact-search.md` derives each bound; the names are those used there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]

#: Units of roundoff: the largest relative error of rounding to the nearest.
UNIT32 = 2.0**-24
UNIT64 = 2.0**-53

#: Codes of a byte reach as far below their middle as above it.
MOST_CODE = 127

#: The least share of a query's length that its tail is taken to have. It lets one term, tail times
#: tail, carry the rounding errors as well, which are proportional to the query's whole length.
TAIL_FLOOR = 2.0**-8

#: A flushed or denormal float32 term is off by no more than this.
TINY = 2.0**-125

#: The least finite float32: below every score, above the minus infinity of excluded rows.
LOWEST = np.float32(np.finfo(np.float32).min)


def gamma(n_terms: int, unit: float) -> float:
    """Bound the relative error of a sum of `n_terms` products, added in any order.

    References
    ----------
    N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM 2002, lemma 3.1.
    """
    return n_terms * unit / (1 - n_terms * unit)


def slack64(n_features: int) -> float:
    """Bound the relative error of the float64 arithmetic on vectors of `n_features`."""
    return 8 * (n_features + 8) * UNIT64


def round_up(values: NDArray[Any]) -> Float32Array:
    """Return the float32 numbers just above `values`."""
    with np.errstate(over="ignore"):
        return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def round_down(values: NDArray[Any]) -> Float32Array:
    """Return the float32 numbers just below `values`."""
    with np.errstate(over="ignore"):
        return np.nextafter(values.astype(np.float32), np.float32(-np.inf))
