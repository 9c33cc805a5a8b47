"""The space that a graph is built in: float32, where squared Euclidean distance orders the rows.

Under cosine rows are normalised, under Euclidean distances scaled by a power of two so that the
longest has a length of at most 1; then their mean is taken away from rows and queries alike, which
changes no distance between them. The inner product is no distance: a row may have a larger one with
another row than with itself, and greedy steps through a graph of such neighbours end at long rows.
So each row gets one coordinate more, which makes all rows equally long; among vectors of one
length, the nearest have the largest inner product, and a query has a zero there. That is the
reduction of Y. Bachrach et al., "Speeding up the Xbox recommender system using a Euclidean
transformation for inner-product spaces", RecSys 2014.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.head import blocks_of
from kneighbors.search.metrics import Float64Array, lengths, normalise
from kneighbors.search.rounding import Float32Array
from kneighbors.search.rows import FloatArray, Rows

#: FAISS's fast code for scalar-quantised vectors works on so many elements at a time, and takes
#: the slow one, 3 to 4 times slower, where the width is no multiple of it.
_LANES = 16
#: A query further out than this many times the longest row: float32 cannot tell rows apart well.
_FAR = 64.0
_CENTRE_ROWS = 8192


class GraphSpace:
    """How rows and queries of a metric become vectors of a graph.

    Parameters
    ----------
    metric : str
        Canonical name.
    exponent : int
        Rows are multiplied by two to this power, unless they are normalised.
    centre : ndarray of shape (n_features,), dtype float64
        Taken away from all; zeros for the inner product.
    """

    def __init__(self, metric: str, exponent: int, centre: Float64Array) -> None:
        self.metric = metric
        self.exponent = exponent
        self.centre = centre
        self.has_filler = metric == "inner_product"
        self.width = -(-(len(centre) + self.has_filler) // _LANES) * _LANES

    @classmethod
    def of(cls, rows: Rows, metric: str, random: np.random.Generator) -> GraphSpace:
        """Look at a corpus: once through it, unless it is to be normalised."""
        n_samples, n_features = rows.shape
        exponent = 0
        if metric != "cosine":
            longest = max(
                float(lengths(rows.slice(start, stop).astype(np.float64)).max())
                for start, stop in blocks_of(n_samples, n_features)
            )
            exponent = int(np.clip(-np.frexp(longest)[1], -1022, 1022))
        space = cls(metric, exponent, np.zeros(n_features))
        if not space.has_filler:
            count = min(n_samples, _CENTRE_ROWS)
            chosen = np.sort(random.choice(n_samples, count, replace=False)).astype(np.int64)
            space.centre = space._scaled(rows.take(chosen)).mean(axis=0)
        return space

    def rows(self, V: FloatArray) -> Float32Array:
        """Return rows of the corpus as vectors of the graph."""
        placed = self._scaled(V)
        out = np.zeros((len(V), self.width), np.float32)
        if self.has_filler:
            squares = np.einsum("ij,ij->i", placed, placed)
            out[:, placed.shape[1]] = np.sqrt(np.maximum(1 - squares, 0))
        else:
            placed -= self.centre
        out[:, : placed.shape[1]] = placed
        return out

    def queries(self, prepared: Float64Array) -> tuple[Float32Array, NDArray[np.bool_]]:
        """Return prepared queries as vectors of the graph, and which of them fit into it.

        Parameters
        ----------
        prepared : ndarray of shape (n_queries, n_features), dtype float64
            By the metric's `prepare`.
        """
        out = np.zeros((len(prepared), self.width), np.float32)
        n_features = prepared.shape[1]
        if self.metric == "cosine":
            np.subtract(prepared, self.centre, out=out[:, :n_features], casting="same_kind")
            return out, np.ones(len(out), np.bool_)
        if self.has_filler:
            norms = lengths(prepared)
            fit = np.isfinite(norms) & (norms > 0)
            # Only the direction counts.
            if fit.any():
                out[fit, :n_features] = normalise(prepared[fit])
            return out, fit
        with np.errstate(over="ignore"):
            placed = np.ldexp(prepared, self.exponent) - self.centre
            fit = np.abs(placed).max(axis=1) <= _FAR
        out[fit, :n_features] = placed[fit]
        return out, fit

    def _scaled(self, V: FloatArray) -> Any:
        if self.metric == "cosine":
            return normalise(V)
        return np.ldexp(V.astype(np.float64), self.exponent)
