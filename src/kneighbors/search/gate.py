"""The gate: the only place that looks at outside arrays. Behind it nothing checks again.

What passes is two-dimensional, of the right width, float32 or float64 in native byte order,
C-contiguous, finite, and without zero rows where the metric divides by a norm. The messages of
the commonest refusals begin as scikit-learn's do, since programs match them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np

from kneighbors.errors import ArrayRefused, ParameterRefused
from kneighbors.search.rows import FloatArray

#: Elements looked at in one step, so that checking a corpus larger than memory needs 8 MiB.
_BLOCK_ELEMENTS = 1 << 20
#: Beyond these lengths, distances would overflow to infinity and every row would tie.
_MAX_LENGTH = {"euclidean": 1e300, "sqeuclidean": 1e150, "inner_product": 1e150}
_MAX_NAMED_ROWS = 10


def check_corpus(X: object, metric: str, *, name: str = "X") -> FloatArray:
    """Return the corpus as the search wants it, or refuse it.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Numbers. float16 and small integers become float32, other integers float64. Memory-maps
        that fit as they are stay mapped, and are read once, block by block.
    metric : str
        Canonical name of the metric; ``"cosine"`` refuses rows of zeros.
    name : str, default="X"
        What messages call the array.

    Returns
    -------
    ndarray of shape (n_samples, n_features), dtype float32 or float64
        The very same array where nothing had to be changed.

    Raises
    ------
    ArrayRefused
        With code ``array-shape``, ``array-empty``, ``array-dtype``, ``array-ragged``,
        ``array-not-finite``, ``array-zero-vector`` or ``array-overflow``.
    """
    array = _as_matrix(X, name)
    if array.shape[0] == 0:
        raise ArrayRefused(
            "array-empty",
            f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required.",
        )
    _check_values(array, metric, name)
    return array


def check_queries(Q: object, n_features: int, metric: str, *, name: str = "Q") -> FloatArray:
    """Return the queries as the search wants them, or refuse them.

    Parameters
    ----------
    Q : array-like of shape (n_queries, n_features)
        Numbers, in any dtype that `check_corpus` takes. No queries at all is fine.
    n_features : int
        Width of the corpus.
    metric : str
        Canonical name of the metric.
    name : str, default="Q"
        What messages call the array.

    Returns
    -------
    ndarray of shape (n_queries, n_features), dtype float32 or float64

    Raises
    ------
    ArrayRefused
        As `check_corpus`, and with code ``array-width``.
    """
    array = _as_matrix(Q, name)
    if array.shape[1] != n_features:
        raise ArrayRefused(
            "array-width",
            f"{name} has {array.shape[1]} features, but the index is expecting {n_features} "
            "features as input.",
        )
    _check_values(array, metric, name)
    return array


def check_n_neighbors(value: object, n_samples: int) -> int:
    """Return `value` as a number of neighbours between 1 and `n_samples`, or refuse it.

    Raises
    ------
    ParameterRefused
        With code ``n-neighbors-type`` or ``n-neighbors-range``.

    Examples
    --------
    >>> check_n_neighbors(3, n_samples=10)
    3
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise ParameterRefused(
            "n-neighbors-type",
            f"n_neighbors does not take {type(value)} value, enter integer value",
        )
    count = int(value)
    if count <= 0:
        raise ParameterRefused("n-neighbors-range", f"Expected n_neighbors > 0. Got {count}")
    if count > n_samples:
        raise ParameterRefused(
            "n-neighbors-range",
            f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {count}, "
            f"n_samples_fit = {n_samples}",
        )
    return count


def check_radius(value: object, metric: str) -> float:
    """Return `value` as a distance, or refuse it.

    Raises
    ------
    ParameterRefused
        With code ``radius-type`` or ``radius-range``: distances are not negative, save those of
        the inner product.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise ParameterRefused(
            "radius-type", f"Expected radius to be a number, got {type(value).__name__}."
        )
    try:
        radius = float(value)
    except OverflowError as error:
        raise ParameterRefused(
            "radius-range", "Expected radius to be a number that a float64 holds, got one beyond."
        ) from error
    if math.isnan(radius):
        raise ParameterRefused("radius-range", "Expected radius to be a number, got NaN.")
    if radius < 0 and metric != "inner_product":
        raise ParameterRefused(
            "radius-range", f"Expected radius >= 0 for the metric {metric!r}, got {radius}."
        )
    return radius


def _as_matrix(X: object, name: str) -> FloatArray:
    if hasattr(X, "toarray") and hasattr(X, "tocsr"):
        raise ArrayRefused(
            "array-dtype",
            f"Sparse data was passed for {name}, but dense data is required.",
            hint="Use X.toarray() to convert to a dense numpy array.",
        )
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ArrayRefused("array-dtype", f"Expected plain numbers in {name}, got masked ones.")
    array = as_array(X, name)
    if array.ndim != 2:
        raise ArrayRefused(
            "array-shape",
            f"Expected 2D array, got {'scalar' if array.ndim == 0 else f'{array.ndim}D'} array "
            f"instead: {name} has the shape {array.shape}.",
            hint="Reshape your data using array.reshape(1, -1) if it contains a single sample.",
        )
    if array.shape[1] == 0:
        raise ArrayRefused(
            "array-empty",
            f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is "
            "required.",
        )
    target = _target_dtype(array.dtype, name)
    # A long double beyond float64 becomes infinite here, and is refused as that.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=target)


def as_array(X: object, name: str) -> np.ndarray[Any, np.dtype[Any]]:
    """Return what numpy makes of `X`, whatever that is.

    Raises
    ------
    ArrayRefused
        With code ``array-ragged`` or ``array-dtype``, where numpy makes nothing of it.
    """
    if type(X) is np.ndarray:
        return X
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ArrayRefused(
            "array-ragged", f"Expected rows of equal length in {name}: {error}"
        ) from error
    except (TypeError, OverflowError, MemoryError) as error:
        raise ArrayRefused("array-dtype", f"Expected an array in {name}: {error}") from error


def _target_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    if dtype.kind == "f":
        return np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)
    if dtype.kind in "iub":
        # A float32 holds every integer of up to 16 bits.
        return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)
    if dtype.kind == "c":
        raise ArrayRefused("array-dtype", f"Complex data not supported: {name} is {dtype}.")
    raise ArrayRefused(
        "array-dtype", f"Expected numbers in {name}, got an array of dtype {dtype.str!r}."
    )


def _blocks(array: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    step = max(1, _BLOCK_ELEMENTS // array.shape[1])
    for start in range(0, array.shape[0], step):
        yield start, array[start : start + step]


def _check_values(array: FloatArray, metric: str, name: str) -> None:
    zero_rows: list[int] = []
    n_zero = 0
    for start, block in _blocks(array):
        # One pass decides for the block: a sum of squares is finite only where every element is.
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("ij,ij->i", block, block)
            total = float(squares.sum())
        if not math.isfinite(total):
            _refuse_not_finite(block, start, name)
        # A float32 is too small a number to overflow a float64 sum.
        if metric in _MAX_LENGTH and block.dtype == np.float64 and squares.max() > 1e300:
            _refuse_overflow(block, start, metric, name)
        if metric == "cosine" and not squares.all():
            # Tiny numbers square to zero, so a zero sum only points at rows to look at.
            suspects = np.flatnonzero(squares == 0)
            found = suspects[~block[suspects].any(axis=1)] + start
            n_zero += len(found)
            zero_rows.extend(found[: _MAX_NAMED_ROWS - len(zero_rows)].tolist())
    if n_zero:
        rows = ", ".join(map(str, zero_rows)) + (", ..." if n_zero > len(zero_rows) else "")
        raise ArrayRefused(
            "array-zero-vector",
            f"Expected vectors of non-zero length in {name}, since the cosine distance divides by "
            f"it; got {n_zero} zero vector{'s' if n_zero > 1 else ''}.",
            where=f"row{'s' if n_zero > 1 else ''} {rows}",
            hint="Remove them, or use the metric 'euclidean'.",
        )


def _refuse_not_finite(block: FloatArray, start: int, name: str) -> None:
    finite = np.isfinite(block)
    if finite.all():
        return
    row, column = np.argwhere(~finite)[0].tolist()
    value = float(block[row, column])
    kind = "NaN" if math.isnan(value) else f"infinity or a value too large for {block.dtype!r}"
    raise ArrayRefused(
        "array-not-finite",
        f"Input {name} contains {kind}.",
        where=f"row {start + row}, column {column}",
    )


def _refuse_overflow(block: FloatArray, start: int, metric: str, name: str) -> None:
    # A length is at most this many times the largest component.
    limit = _MAX_LENGTH[metric] / math.sqrt(block.shape[1])
    largest = np.abs(block).max(axis=1)
    beyond = np.flatnonzero(largest > limit)
    if len(beyond):
        raise ArrayRefused(
            "array-overflow",
            f"Expected values up to {limit:.3g} in {name}, since the metric {metric!r} would "
            f"overflow beyond; got {largest[beyond[0]]:.3g}.",
            where=f"row {start + int(beyond[0])}",
            hint="Scale the data down.",
        )
