"""Where the rows of a shard lie: a ball, and from it the least distance to anything in it.

By the triangle inequality no row in a ball is nearer to a query than the query's distance to the
centre less the radius; for the inner product, Cauchy and Schwarz bound the part of the dot product
that the centre does not give. Everything is widened by what rounding may have taken away.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass

import numpy as np

from kneighbors.search.head import blocks_of
from kneighbors.search.metrics import METRICS, Float64Array, lengths
from kneighbors.search.rounding import slack64
from kneighbors.search.rows import FloatArray, RowArray, Rows

#: Rows whose mean is the centre; any centre is right, and a mean of many is near the best.
_CENTRE_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Ball:
    """A centre, and how far from it the farthest row is.

    Parameters
    ----------
    centre : ndarray of shape (n_features,), dtype float64
        Among the rows as the metric prepares them, which is normalised for cosine.
    radius : float

    Examples
    --------
    >>> ball = Ball(np.zeros(2), 1.0)
    >>> ball.least_distances(np.array([[3.0, 4.0], [0.5, 0.0]]), "euclidean").round(6)
    array([4., 0.])
    """

    centre: Float64Array
    radius: float

    @classmethod
    def around(cls, rows: Rows, metric: str) -> Ball:
        """Return a ball that holds all rows; reads them once."""
        prepare = METRICS[metric].prepare
        n_samples, n_features = rows.shape
        chosen: RowArray = np.unique(
            np.linspace(0, n_samples - 1, min(n_samples, _CENTRE_ROWS)).astype(np.int64)
        )
        centre: Float64Array = (prepare(rows.take(chosen)) / len(chosen)).sum(axis=0)
        radius = 0.0
        for start, stop in blocks_of(n_samples, n_features):
            gaps = lengths(prepare(rows.slice(start, stop)) - centre)
            radius = max(radius, float(gaps.max()))
        return cls(centre, radius * (1 + slack64(n_features)))

    def least_distances(self, Q: FloatArray, metric: str) -> Float64Array:
        """Return for each query a distance that no row in the ball is nearer than.

        Parameters
        ----------
        Q : ndarray of shape (n_queries, n_features)
            Queries that have passed the gate.
        metric : str

        Returns
        -------
        ndarray of shape (n_queries,), dtype float64
            Minus infinity where nothing can be said.
        """
        prepared = METRICS[metric].prepare(Q)
        slack = 4 * slack64(len(self.centre))
        with np.errstate(over="ignore", invalid="ignore"):
            if metric == "inner_product":
                reach = lengths(prepared)
                most = prepared @ self.centre + reach * self.radius
                length = float(lengths(self.centre[np.newaxis])[0])
                least = -most - slack * reach * (length + self.radius)
            else:
                gaps = lengths(prepared - self.centre)
                unit = 1.0 if metric == "cosine" else 0.0
                lost = slack * (gaps + self.radius + unit)
                least = np.maximum(gaps - self.radius - lost, 0.0)
                if metric == "cosine":
                    least = 0.5 * np.square(least)
                elif metric == "sqeuclidean":
                    least = np.square(least)
                if metric != "euclidean":
                    least *= 1 - slack
        return np.asarray(np.where(np.isnan(least), -np.inf, least))

    def fields(self) -> dict[str, str | float]:
        """Return what JSON holds of it."""
        data = self.centre.astype("<f8").tobytes()
        return {"centre": b64encode(data).decode(), "radius": self.radius}

    @classmethod
    def from_fields(cls, fields: dict[str, str | float], n_features: int) -> Ball:
        """Take back what `fields` gave.

        Raises
        ------
        ValueError, TypeError, LookupError
            When it is something else.
        """
        centre = np.frombuffer(b64decode(str(fields["centre"]), validate=True), "<f8")
        radius = float(fields["radius"])
        if centre.shape != (n_features,) or not np.isfinite(centre).all() or not radius >= 0:
            raise ValueError("the bounds of a shard")
        return cls(centre.astype(np.float64), radius)
