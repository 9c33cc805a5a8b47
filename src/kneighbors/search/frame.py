"""The frame that scores live in: a centre, a scale, and how a distance becomes a score.

Every metric is turned into one: the *score* of a row for a query is larger the nearer the row is,
and the frame converts a distance to the least score that a row at that distance, or nearer, can
have. With z a row and q a query, both placed in the frame, the score is

    z.q              for the inner product, and
    z.q - |z|^2 / 2  for Euclidean distances, where |z - q|^2 = |q|^2 - 2 score, and for cosine,
                     which is half the squared Euclidean distance of the normalised vectors.

A Euclidean distance does not change when one centre is subtracted from rows and queries alike; that
takes away what all rows have in common, and with it most of the rounding error of float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kneighbors.search.metrics import Float64Array, lengths, normalise
from kneighbors.search.rounding import LOWEST, TINY, Float32Array, round_down, slack64
from kneighbors.search.rows import FloatArray

if TYPE_CHECKING:
    from kneighbors.search.rotation import RotatedQueries


@dataclass
class Placed:
    """Queries in a frame.

    Attributes
    ----------
    Q : ndarray of shape (n_queries, n_features), dtype float64
        As the metric's exact distances want them.
    q : ndarray of shape (n_queries, n_features), dtype float64
        What a row's placed vector is multiplied with, divided by `divisor`.
    divisor : ndarray of shape (n_queries,), dtype float64
        Power of two that scores of this query are divided by.
    scale : ndarray of shape (n_queries,), dtype float64
        Power of two that distances (inner product: of this query) are multiplied by.
    rotated : RotatedQueries or None
        The queries in the coordinates that they were last wanted in.
    """

    Q: Float64Array
    q: Float64Array
    divisor: Float64Array
    scale: Float64Array
    rotated: RotatedQueries | None = None

    @cached_property
    def lengths(self) -> Float64Array:
        """Lengths of the rows of `q`, of shape (n_queries,); at most 2."""
        return lengths(self.q)


class Frame:
    """Centre and scale of a corpus under a metric.

    Parameters
    ----------
    metric : str
        Canonical name.
    centre : ndarray of shape (n_features,), dtype float64
        Subtracted from every scaled or normalised row. Any vector is right, the mean is good; for
        the inner product it must be zero.
    exponent : int
        Rows are multiplied by two to this power (cosine normalises instead).
    """

    def __init__(self, metric: str, centre: Float64Array, exponent: int) -> None:
        self.metric = metric
        self.centre = centre
        self.exponent = exponent
        self.slack = slack64(len(centre))
        # Each product that a distance sums may have lost this much to underflow.
        self._underflow = (len(centre) + 1) * 2.0**-1074
        self._centre_length = float(lengths(centre[np.newaxis])[0])
        self._is_centred = bool(centre.any())

    @property
    def has_offsets(self) -> bool:
        """Whether scores carry minus half the row's squared length."""
        return self.metric != "inner_product"

    def place(self, V: FloatArray) -> Float64Array:
        """Return rows of the corpus, placed: normalised or scaled, and centred."""
        out = (
            normalise(V)
            if self.metric == "cosine"
            else np.ldexp(V.astype(np.float64), self.exponent)
        )
        if self._is_centred:
            out -= self.centre
        return np.asarray(out)

    def reach(self, placed: Float64Array) -> Float64Array:
        """Bound the lengths of rows before they were centred."""
        return lengths(placed) + self._centre_length

    def place_queries(self, Q: Float64Array) -> Placed:
        """Return queries, prepared by the metric, in this frame."""
        ones = np.ones(len(Q))
        if self.metric == "cosine":
            q = Q - self.centre
            return Placed(Q, q, ones, ones)
        with np.errstate(over="ignore", invalid="ignore"):
            if self.metric == "inner_product":
                powers = -np.frexp(lengths(Q))[1]
                q = np.ldexp(Q, powers[:, np.newaxis])
                return Placed(Q, q, ones, np.ldexp(ones, powers + self.exponent))
            q = np.ldexp(Q, self.exponent) - self.centre
            powers = np.maximum(np.frexp(lengths(q))[1], 0)
            q = np.ldexp(q, -powers[:, np.newaxis])
            scale = np.ldexp(ones, self.exponent)
            return Placed(Q, q, np.ldexp(ones, powers), scale)

    def floors(self, placed: Placed, distances: Float64Array, margin: float) -> Float32Array:
        """Return for each query the least score of a row at most so far away.

        Parameters
        ----------
        placed : Placed
            The queries.
        distances : ndarray of shape (n_queries,), dtype float64
            As computed by the metric; infinity gives the lowest number.
        margin : float
            What the upper bounds may be short of by their own rounding, absolutely.

        Returns
        -------
        ndarray of shape (n_queries,), dtype float32
            Rounded down, and lowered by all that float64 may have rounded away: a row whose
            computed distance is not above the given one has a score of no less.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            scores, slack = self._scores(placed, distances)
            floors = scores - slack - margin - TINY * len(self.centre)
        floors[~np.isfinite(floors)] = -np.inf
        return np.maximum(round_down(floors), LOWEST)

    def _scores(
        self, placed: Placed, distances: Float64Array
    ) -> tuple[Float64Array, Float64Array | float]:
        if self.metric == "inner_product":
            products = -placed.scale * distances
            # A product small enough to underflow has a scale that overflows: no floor at all.
            return products, self.slack * np.abs(products)
        own = np.square(placed.lengths)
        if self.metric == "cosine":
            return 0.5 * own - distances, 4 * self.slack * (1 + self._centre_length) ** 2
        # Everything over the divisor twice, so that a far query's squares do not overflow.
        scale = placed.scale / placed.divisor
        distances = distances + self._underflow
        if self.metric == "sqeuclidean":
            squared = distances * scale * scale
        else:
            squared = np.square(distances * scale)
        half = 0.5 * placed.divisor
        return half * (own - squared), half * self.slack * 2 * (own + squared)
