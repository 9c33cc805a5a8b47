"""The metrics, and the one definition of each distance: in float64, from the original vectors.

A distance computed here depends on its two vectors alone, to the last bit: not on how many others
are computed with it, on threads or on a BLAS. That makes ties, and with them the order of answers,
the same however the work was divided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ParameterRefused
from kneighbors.search.rows import FloatArray

Float64Array = NDArray[np.float64]

#: A sum of squares within these bounds lost nothing to underflow and did not overflow.
_SMALLEST_SQUARE, _LARGEST_SQUARE = 1e-240, 1e240


def _squares(V: Float64Array) -> Float64Array:
    # A reduction over the last axis adds each row pairwise, in an order that depends on its length
    # alone. A BLAS product would be faster, and would round rows differently by their position.
    return np.asarray(np.add.reduce(V * V, axis=1))


def _out_of_range(squares: Float64Array) -> NDArray[np.intp] | None:
    """Return which sums of squares cannot be trusted; None, which is usual, if all can."""
    if len(squares) and squares.min() >= _SMALLEST_SQUARE and squares.max() <= _LARGEST_SQUARE:
        return None
    return np.flatnonzero(~((squares >= _SMALLEST_SQUARE) & (squares <= _LARGEST_SQUARE)))


def _exponents(V: Float64Array) -> NDArray[np.int32]:
    """Return for each row the exponent of the power of two just above its largest value."""
    return np.asarray(np.frexp(np.abs(V).max(axis=1))[1], dtype=np.int32)


def lengths(V: Float64Array) -> Float64Array:
    """Return the Euclidean length of each row, as accurate for tiny and huge numbers as for others.

    Parameters
    ----------
    V : ndarray of shape (n, n_features), dtype float64

    Returns
    -------
    ndarray of shape (n,), dtype float64
    """
    with np.errstate(over="ignore"):
        squares = _squares(V)
    out = np.sqrt(squares)
    odd = _out_of_range(squares)
    if odd is not None:
        # A power of two scales exactly, so that every row keeps the bits it has on its own.
        exponents = _exponents(V[odd])
        scaled = np.ldexp(V[odd], -exponents[:, np.newaxis])
        out[odd] = np.ldexp(np.sqrt(_squares(scaled)), exponents)
    return out


def normalise(V: FloatArray) -> Float64Array:
    """Return the rows of `V` divided by their lengths, in float64.

    Parameters
    ----------
    V : ndarray of shape (n, n_features)
        Finite, without zero rows.

    Returns
    -------
    ndarray of shape (n, n_features), dtype float64
        Each component is off by at most (n_features / 2 + 3) units of roundoff, relative to the
        row's length; numbers as small as 1e-320 or as large as 1e308 are no exception.
    """
    out = V.astype(np.float64)
    with np.errstate(over="ignore"):
        squares = _squares(out)
    odd = _out_of_range(squares)
    if odd is not None:
        out[odd] = np.ldexp(out[odd], -_exponents(out[odd])[:, np.newaxis])
        squares[odd] = _squares(out[odd])
    out /= np.sqrt(squares)[:, np.newaxis]
    return out


def _as_float64(V: FloatArray) -> Float64Array:
    return V.astype(np.float64)


def _cosine(V: FloatArray, Q: Float64Array) -> Float64Array:
    difference = normalise(V)
    difference -= Q
    # Half the squared chord is 1 - cos without its cancellation: a vector's distance to itself is
    # 0 exactly, and near ones keep their order.
    return np.minimum(_squares(difference) * 0.5, 2.0)


def _squared_euclidean(V: FloatArray, Q: Float64Array) -> Float64Array:
    difference = V.astype(np.float64)
    difference -= Q
    return _squares(difference)


def _euclidean(V: FloatArray, Q: Float64Array) -> Float64Array:
    difference = V.astype(np.float64)
    difference -= Q
    return lengths(difference)


def _inner_product(V: FloatArray, Q: Float64Array) -> Float64Array:
    # 0 - x rather than -x: no negative zeros.
    return np.asarray(0.0 - np.add.reduce(V.astype(np.float64) * Q, axis=1))


class Metric:
    """A metric: how a query is prepared once, and the distances of pairs.

    Parameters
    ----------
    name : str
        Canonical name.
    prepare : callable
        Queries of shape (n, n_features) to the float64 array that `distances` takes.
    distances : callable
        Rows and prepared queries, both of shape (n, n_features), to n distances.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[FloatArray], Float64Array],
        distances: Callable[[FloatArray, Float64Array], Float64Array],
    ) -> None:
        self.name = name
        self.prepare = prepare
        self.distances = distances

    def __reduce__(self) -> tuple[Any, ...]:
        return METRICS.__getitem__, (self.name,)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("cosine", normalise, _cosine),
            Metric("euclidean", _as_float64, _euclidean),
            Metric("sqeuclidean", _as_float64, _squared_euclidean),
            Metric("inner_product", _as_float64, _inner_product),
        )
    }
)
_ALIASES = {"l2": "euclidean"}


def canonical(metric: object, p: float = 2) -> str | None:
    """Return the canonical name of a metric that the exact search knows, else None.

    Examples
    --------
    >>> canonical("l2"), canonical("minkowski", p=2), canonical("minkowski", p=1)
    ('euclidean', 'euclidean', None)
    """
    if not isinstance(metric, str):
        return None
    if metric == "minkowski":
        return "euclidean" if p == 2 else None
    name = _ALIASES.get(metric, metric)
    return name if name in METRICS else None


def check_metric(metric: object) -> str:
    """Return the canonical name of `metric`, or refuse it.

    Raises
    ------
    ParameterRefused
        With code ``metric-unknown``.
    """
    name = canonical(metric)
    if name is None:
        known = ", ".join(sorted([*METRICS, *_ALIASES, "minkowski"]))
        raise ParameterRefused(
            "metric-unknown", f"Expected a metric out of {known}; got {metric!r}."
        )
    return name
