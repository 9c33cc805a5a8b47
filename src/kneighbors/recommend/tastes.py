"""Likes and dislikes as vectors, and their mean.

The mean is that of Qdrant's strategy ``average_vector``: with ``a`` the mean of the likes and ``b``
that of the dislikes, the query is ``a + (a - b)``. For the cosine each vector counts by its
direction alone, as in gensim's ``most_similar``: it is divided by its length first.

The other strategy needs no vector: see `kneighbors.recommend.candidates.EachByItself`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArrayRefused, ParameterRefused
from kneighbors.formats.request import FloatArray
from kneighbors.search.metrics import METRICS, lengths
from kneighbors.search.rows import RowArray

Float64Array = NDArray[np.float64]

#: Unit vectors whose mean is shorter than this cancel out; what is left is rounding.
_SHORTEST = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What is liked, or what is not.

    Parameters
    ----------
    vectors : ndarray of shape (n_examples, n_features)
        Having passed the gate.
    rows : ndarray of shape (n_examples,), dtype int64
        Their rows; -1 where a vector or terms came.
    weights : ndarray of shape (n_examples,), dtype float64
    terms : tuple of (tuple of str or None)
        For each, the standard terms that it was made of.
    """

    vectors: FloatArray
    rows: RowArray
    weights: Float64Array
    terms: tuple[tuple[str, ...] | None, ...]

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def own_rows(self) -> RowArray:
        """The rows that are named."""
        return self.rows[self.rows >= 0]


@dataclass(frozen=True, slots=True, eq=False)
class Taste:
    """What one query likes and does not like.

    Parameters
    ----------
    like, dislike : Examples
    where : str
        Its place in the request.
    """

    like: Examples
    dislike: Examples
    where: str = ""


def mean_of(taste: Taste, metric: str) -> FloatArray:
    """Return the vector that a taste comes to, of shape (n_features,).

    Raises
    ------
    ParameterRefused
        With code ``like-missing``, or ``like-weights`` where weights sum to zero.
    ArrayRefused
        With code ``array-zero-vector``, where they cancel out and the metric is the cosine.
    """
    if not len(taste.like):
        raise ParameterRefused(
            "like-missing",
            "Expected at least one like, or terms, for the strategy mean; got none.",
            where=taste.where or None,
            hint="With dislikes alone, use the strategy best_score.",
        )
    if len(taste.like) == 1 and not len(taste.dislike):
        _weighted(taste.like, taste.where, metric)
        vector: FloatArray = taste.like.vectors[0]
        return vector
    wanted = _weighted(taste.like, taste.where, metric)
    if len(taste.dislike):
        wanted = wanted + (wanted - _weighted(taste.dislike, taste.where, metric))
    if metric == "cosine" and lengths(wanted[np.newaxis])[0] < _SHORTEST:
        raise ArrayRefused(
            "array-zero-vector",
            "Expected likes and dislikes that point somewhere; got some that cancel out, and the "
            "cosine has no distance from zero.",
            where=taste.where or None,
            hint="Change the weights, or use the strategy best_score.",
        )
    return wanted


def _weighted(examples: Examples, where: str, metric: str) -> Float64Array:
    total = float(examples.weights.sum())
    if not 0 < total < np.inf:
        raise ParameterRefused(
            "like-weights",
            f"Expected weights with a sum above 0, got {total:g}.",
            where=where or None,
        )
    vectors = METRICS[metric].prepare(examples.vectors)
    mean: Float64Array = np.add.reduce(vectors * (examples.weights / total)[:, np.newaxis], axis=0)
    return mean
