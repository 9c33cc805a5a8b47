"""What answers: a recommender, and the two that any recommender has to beat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from kneighbors.evaluate.splits import Split
from kneighbors.items import Catalog
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import RowArray

#: Fills the place of an answer that there is not.
NOTHING = -1


class Recommends(Protocol):
    """What is asked: `kneighbors.Recommender` is such a one."""

    @property
    def catalog(self) -> Catalog:
        """What the rows are called."""

    @property
    def index(self) -> Any:
        """What searches: it has ``rows``, ``metric`` and ``n_samples``."""

    @property
    def recommend(self) -> Callable[..., Any]:
        """Return something with ``indices``, the rows, best first.

        It is called with ``like``, a list of ids or a mapping of ids to weights, with
        ``n_neighbors``, without the attributes, and with whatever else `evaluate_interactions` was
        given.
        """


Ranker = Callable[[Split, int], RowArray]
"""Returns the rows for each user, best first, of shape (n_users, k), filled up with `NOTHING`."""


class Recommended:
    """Ask a recommender user by user, telling it what each likes.

    Parameters
    ----------
    recommender : Recommends
    parameters : dict
        Passed on with each question.
    weighted : bool
        Whether the weights of the interactions are told.
    progress : callable, optional
    """

    def __init__(
        self,
        recommender: Recommends,
        parameters: dict[str, Any],
        *,
        weighted: bool,
        progress: Progress = ignore,
    ) -> None:
        self._recommender = recommender
        self._parameters = parameters
        self._weighted = weighted
        self._progress = progress

    def __call__(self, split: Split, k: int) -> RowArray:
        """Return what is recommended to each user."""
        answers = np.full((len(split), k), NOTHING, np.int64)
        catalog = self._recommender.catalog
        for user in range(len(split)):
            like: Any = catalog.ids_of(split.likes[user])
            if self._weighted and split.weights is not None:
                begin, end = split.likes.starts[user : user + 2]
                like = dict(zip(like, split.weights[begin:end].tolist(), strict=True))
            found = self._recommender.recommend(
                like=like, n_neighbors=k, include_items=False, **self._parameters
            )
            rows = np.asarray(found.indices, np.int64)
            answers[user, : len(rows)] = rows
            self._progress("recommending", user + 1, len(split))
        return answers


def most_popular(split: Split, k: int) -> RowArray:
    """Recommend to everybody what most are known to like, and the user does not yet."""
    order = np.argsort(-split.popularity, kind="stable")
    answers = np.full((len(split), k), NOTHING, np.int64)
    for user in range(len(split)):
        likes = split.likes[user]
        # As many of the first as the user likes may have to be left out.
        first = order[: k + len(likes)]
        rows = first[~np.isin(first, likes)][:k]
        answers[user, : len(rows)] = rows
    return answers


class AtRandom:
    """Recommend to everybody what chance says, except for what the user likes already.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, split: Split, k: int) -> RowArray:
        """Return what chance says for each user."""
        rng = np.random.default_rng(self._seed)
        n_samples = len(split.popularity)
        answers = np.full((len(split), k), NOTHING, np.int64)
        for user in range(len(split)):
            likes = split.likes[user]
            drawn = rng.choice(n_samples, min(k + len(likes), n_samples), replace=False)
            rows = drawn[~np.isin(drawn, likes)][:k]
            answers[user, : len(rows)] = rows
        return answers
