"""Upper bounds of all scores from one plain product with the original vectors.

Where no rotation gathers the variance (isotropic noise), a head saves nothing; then the bounds are
the product itself, plus what its arithmetic may have rounded away. It reads the rows as they are,
so nothing is stored but a number or two for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.frame import Frame, Placed
from kneighbors.search.head import blocks_of
from kneighbors.search.metrics import lengths
from kneighbors.search.parts import part_of
from kneighbors.search.progress import Progress
from kneighbors.search.rounding import UNIT32, UNIT64, Float32Array, gamma, round_up
from kneighbors.search.rows import FloatArray, Rows

#: Lengths of rows within which no product of a float32 row and a unit query over- or underflows.
LENGTHS_FOR_PRODUCT = (1e-15, 1e15)

EUCLIDEAN = frozenset({"euclidean", "sqeuclidean"})


class ProductBounds:
    """Upper bounds of scores by the product with every row.

    Parameters
    ----------
    frame : Frame
        Uncentred and unscaled: the rows are used as they are.
    rows : Rows
        The original vectors.
    factors : ndarray of shape (1 or 2, n_samples), dtype float32
        Cosine: reciprocal lengths. Otherwise the rounding error of each row's product with a unit
        query, and, for Euclidean metrics, the offsets.
    """

    def __init__(self, frame: Frame, rows: Rows, factors: Float32Array) -> None:
        self.frame = frame
        self.rows = rows
        self.factors = factors

    @classmethod
    def build(cls, frame: Frame, rows: Rows, progress: Progress) -> ProductBounds:
        """Compute the factors of all rows, block by block."""
        n_samples, n_features = rows.shape
        factors = np.empty((1 + (frame.metric in EUCLIDEAN), n_samples), np.float32)
        for start, stop in blocks_of(n_samples, n_features):
            factors[:, start:stop] = factors_of(frame.metric, rows.slice(start, stop))
            progress("measuring lengths", stop, n_samples)
        return cls(frame, rows, factors)

    @classmethod
    def from_parts(
        cls, rows: Rows, metric: str, parts: Mapping[str, NDArray[Any]]
    ) -> ProductBounds:
        """Take the parts of a saved index."""
        n_samples, n_features = rows.shape
        shape = (1 + (metric in EUCLIDEAN), n_samples)
        factors = part_of(parts, "factors", np.float32, shape)
        return cls(Frame(metric, np.zeros(n_features), 0), rows, factors)

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to save."""
        return {"factors": self.factors}

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.rows.shape[0]

    @property
    def margin(self) -> float:
        """What bounds may be short of, absolutely.

        A cosine is compared without its offset, which is minus one half for every normalised row,
        and its rounding is alike for all rows.
        """
        return (
            _relative_error(self.rows.shape[1], self.rows.dtype) - 0.5
            if self.frame.metric == "cosine"
            else 0.0
        )

    @property
    def spread(self) -> float | None:
        """By how much, at most, two rows may be ordered wrongly by their bounds; None if unknown.

        A cosine's bounds are the scores, give or take the rounding of a product.
        """
        if self.frame.metric != "cosine":
            return None
        error = _relative_error(self.rows.shape[1], self.rows.dtype)
        return 2 * (error + 4 * self.frame.slack)

    def coefficients(self, placed: Placed) -> FloatArray:
        """Return the queries in the dtype of the rows, then the factors' coefficients if needed.

        A row that is not finite says that the query is too extreme to be bounded.
        """
        n_queries, n_features = placed.q.shape
        if self.frame.metric == "cosine":
            return placed.q.astype(self.rows.dtype)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            out = np.empty((n_queries, n_features + 2), self.rows.dtype)
            out[:, :n_features] = placed.q
            out[:, -2] = placed.lengths * (1 + 4 * UNIT32)
            out[:, -1] = np.where(placed.divisor < 2.0**100, 1 / placed.divisor, np.nan)
        return out

    def upper(self, coefficients: FloatArray, start: int, stop: int, out: Float32Array) -> None:
        """Write upper bounds of the scores of rows `start` to `stop` into `out`."""
        V = self.rows.slice(start, stop)
        queries = coefficients[:, : V.shape[1]]
        if out.dtype == V.dtype and len(queries) == 1:
            np.dot(V, queries[0], out=out[0])
        elif out.dtype == V.dtype:
            np.matmul(queries, V.T, out=out)
        else:
            out[:] = queries @ V.T
        metric = self.frame.metric
        if metric == "cosine":
            out *= self.factors[0, start:stop]
            return
        for query, bounds in zip(coefficients, out, strict=True):
            bounds += self.factors[0, start:stop] * np.float32(query[-2])
            if metric in EUCLIDEAN:
                bounds += self.factors[1, start:stop] * np.float32(query[-1])


def factors_of(metric: str, V: FloatArray) -> Float32Array:
    """Return the factors of some rows, of shape (1 or 2, len(V))."""
    norms = lengths(V.astype(np.float64))
    out = np.empty((1 + (metric in EUCLIDEAN), len(V)), np.float32)
    if metric == "cosine":
        out[0] = 1 / norms
        return out
    out[0] = round_up(_relative_error(V.shape[1], V.dtype) * norms)
    if metric in EUCLIDEAN:
        out[1] = np.minimum(round_up(-0.5 * np.square(norms) * (1 - 8 * UNIT32)), 0)
    return out


def _relative_error(n_features: int, dtype: np.dtype[Any]) -> float:
    """Bound the error of a row's computed score, relative to the length of the row.

    The product in the rows' own dtype, the query's rounding to it, and the roundings to float32 of
    the score, of the factors and of their products and sums.
    """
    unit = UNIT32 if dtype == np.float32 else UNIT64
    return 1.02 * (gamma(n_features, unit) + 2 * unit + 8 * UNIT32)
