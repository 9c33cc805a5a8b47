"""What a list of recommendations is worth, user by user.

The definitions, for a user with the held-out items R and a list of k places, where rel(i) is 1 if
place i holds one of R and 0 if not:

- precision: hits / k, however many places are filled.
- hit_recall: hits / abs(R). Its name tells it from the recall of an index.
- map: the mean over R of the precision at the place where each was found, 0 for one that was not;
  the divisor is abs(R), not the smaller of that and k.
- ndcg: the sum of rel(i) / log2(i + 1), divided by what the best list of k places would have.
- mrr: 1 / place of the first hit, 0 without one.
- hit_rate: whether there is a hit.
- novelty: the mean over the list of log2(users / users who are known to like the item), an item
  that nobody is known to like counted as liked by one.
- diversity: the mean distance of two items of the list, in the metric of the corpus.
- popularity: the mean over the list of the number of users who are known to like the item.
- popularity_bias: that mean, divided by the same mean over what the user likes; 1 is no bias.

Of a list with nothing in it the last four are NaN, and so is the diversity of a list of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kneighbors.evaluate.rankers import NOTHING
from kneighbors.evaluate.splits import Ragged, Split
from kneighbors.search.metrics import normalise
from kneighbors.search.rows import FloatArray, RowArray, Rows

Float64Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

#: The names, in the order of a table, and what a user reads beside them.
MERITS: Final = {
    "precision": "share of the list that was held out",
    "hit_recall": "share of what was held out that is in the list",
    "map": "mean average precision",
    "ndcg": "normalised discounted cumulative gain",
    "mrr": "one over the place of the first hit",
    "hit_rate": "share of users with a hit",
    "novelty": "bits of surprise of an item",
    "diversity": "mean distance of two items of a list",
    "popularity": "users who like an item of the list",
    "popularity_bias": "that, over the same of the user's likes",
}
#: Distances of a block of lists take no more than this, in floats.
_BLOCK: Final = 4_000_000


def merits_of(answers: RowArray, split: Split, rows: Rows, metric: str) -> dict[str, Float64Array]:
    """Return every figure of merit for every user.

    Parameters
    ----------
    answers : ndarray of shape (n_users, k), dtype int64
        Rows, best first, filled up with -1.
    split : Split
    rows : Rows
        The vectors of the corpus.
    metric : str
        In which items of a list are compared.

    Returns
    -------
    dict of str to ndarray of shape (n_users,), dtype float64
        By the names of `MERITS`, in their order.
    """
    hits = hits_of(answers, split.held_out)
    filled = answers != NOTHING
    popular = _mean(split.popularity[answers].astype(np.float64), filled)
    return {
        **accuracy_of(hits, split.held_out.lengths),
        "novelty": _novelty(answers, filled, split),
        "diversity": diversity_of(answers, rows, metric),
        "popularity": popular,
        "popularity_bias": popular / _popularity_of_likes(split),
    }


def hits_of(answers: RowArray, held_out: Ragged) -> BoolArray:
    """Return which places of the lists hold an item that was held out."""
    width = 1 + max(int(answers.max()), int(held_out.rows.max()))
    users = np.arange(len(answers))[:, None]
    asked = np.where(answers == NOTHING, -1, users * width + answers)
    return np.isin(asked, held_out.owners * width + held_out.rows)


def accuracy_of(hits: BoolArray, n_relevant: NDArray[np.int64]) -> dict[str, Float64Array]:
    """Return the figures that depend on hits alone.

    Parameters
    ----------
    hits : ndarray of shape (n_users, k), dtype bool
    n_relevant : ndarray of shape (n_users,), dtype int64
        Items held out; one or more.
    """
    k = hits.shape[1]
    places = np.arange(1, k + 1)
    found = np.cumsum(hits, axis=1)
    n_found = found[:, -1]
    gains = 1.0 / np.log2(places + 1.0)
    best = np.cumsum(gains)[np.minimum(n_relevant, k) - 1]
    first = np.where(n_found > 0, hits.argmax(axis=1) + 1.0, np.inf)
    return {
        "precision": n_found / k,
        "hit_recall": n_found / n_relevant,
        "map": (hits * found / places).sum(axis=1) / n_relevant,
        "ndcg": (hits * gains).sum(axis=1) / best,
        "mrr": 1.0 / first,
        "hit_rate": (n_found > 0).astype(np.float64),
    }


def coverage_of(answers: RowArray, n_samples: int) -> float:
    """Return the share of the corpus that is recommended to anybody."""
    return len(np.unique(answers[answers != NOTHING])) / n_samples


def diversity_of(answers: RowArray, rows: Rows, metric: str) -> Float64Array:
    """Return the mean distance of two items of each list; NaN where there are not two."""
    k = answers.shape[1]
    diversity = np.full(len(answers), np.nan)
    if k < 2:
        return diversity
    block = max(1, _BLOCK // (k * rows.shape[1]))
    above = np.triu(np.ones((k, k), np.bool_), 1)
    for start in range(0, len(answers), block):
        part = answers[start : start + block]
        filled = part != NOTHING
        # Row 0 stands in for what is not there, and is left out below.
        vectors = rows.take(np.where(filled, part, 0).ravel())
        distances = _PAIRWISE[metric](vectors, k)
        pairs = filled[:, :, None] & filled[:, None, :] & above
        diversity[start : start + block] = _mean(
            distances.reshape(len(part), -1), pairs.reshape(len(part), -1)
        )
    return diversity


def _novelty(answers: RowArray, filled: BoolArray, split: Split) -> Float64Array:
    known = np.maximum(split.popularity, 1)
    return _mean(np.log2(split.n_train_users / known)[answers], filled)


def _popularity_of_likes(split: Split) -> Float64Array:
    total = np.add.reduceat(split.popularity[split.likes.rows], split.likes.starts[:-1])
    return np.asarray(total / split.likes.lengths)


def _mean(values: Float64Array, counted: BoolArray) -> Float64Array:
    """Return the mean of the counted values of each row; NaN where none is."""
    count = counted.sum(axis=1)
    total = np.where(counted, values, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))


def _cosines(vectors: FloatArray, k: int) -> Float64Array:
    unit = normalise(vectors).reshape(-1, k, vectors.shape[1])
    return np.asarray(np.clip(1.0 - unit @ unit.transpose(0, 2, 1), 0.0, 2.0))


def _products(vectors: FloatArray, k: int) -> Float64Array:
    wide = vectors.astype(np.float64).reshape(-1, k, vectors.shape[1])
    return np.asarray(-(wide @ wide.transpose(0, 2, 1)))


def _squares(vectors: FloatArray, k: int) -> Float64Array:
    products = -_products(vectors, k)
    own = np.einsum("nii->ni", products)
    return np.asarray(np.maximum(own[:, :, None] + own[:, None, :] - 2.0 * products, 0.0))


_PAIRWISE: Final[dict[str, Callable[[FloatArray, int], Float64Array]]] = {
    "cosine": _cosines,
    "euclidean": lambda vectors, k: np.sqrt(_squares(vectors, k)),
    "sqeuclidean": _squares,
    "inner_product": _products,
}
