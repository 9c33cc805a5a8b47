"""How good recommendations are, against what people went on to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ParameterRefused
from kneighbors.evaluate.bootstrap import Estimate, estimates_of
from kneighbors.evaluate.figures_of_merit import coverage_of, hits_of, merits_of
from kneighbors.evaluate.interactions import Columns, Interactions, read_interactions
from kneighbors.evaluate.rankers import (
    NOTHING,
    AtRandom,
    Ranker,
    Recommended,
    Recommends,
    most_popular,
)
from kneighbors.evaluate.splits import Split, split_interactions
from kneighbors.search.gate import check_n_neighbors
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import RowArray, Rows

Float64Array = NDArray[np.float64]

RECOMMENDER, POPULAR, RANDOM = "recommender", "popular", "random"
BASELINES = (POPULAR, RANDOM)
DEFAULT_N_NEIGHBORS = 10
RESAMPLES = 1000


@dataclass(frozen=True)
class Measured:
    """What one ranker's lists are worth.

    Attributes
    ----------
    merits : mapping of str to Estimate
        Means over users, by the names of `kneighbors.evaluate.figures_of_merit`.
    coverage : float
        Share of the corpus that is recommended to anybody. It has no interval: drawing users again
        can only make it smaller.
    curve : tuple of Estimate
        The hit recall of lists of 1 to k places.
    n_short : int
        Users who got fewer than k recommendations.
    """

    merits: Mapping[str, Estimate]
    coverage: float
    curve: tuple[Estimate, ...]
    n_short: int


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate_interactions` found.

    Attributes
    ----------
    n_neighbors : int
        Places of a list.
    n_samples : int
        Rows of the corpus.
    metric : str
        In which items of a list are compared.
    interactions, split : mapping
        Counts of what was read and of what was held out.
    parameters : mapping
        What the recommender was asked with, besides the likes.
    confidence : float
    resamples, seed : int
    measured : mapping of str to Measured
        Of ``"recommender"``, ``"popular"`` and ``"random"``.
    gains : mapping of str to mapping of str to Estimate
        By how much the recommender's merits exceed those of each baseline, user by user. An
        interval that holds 0 says that the users do not suffice to tell the two apart.
    """

    n_neighbors: int
    n_samples: int
    metric: str
    interactions: Mapping[str, Any]
    split: Mapping[str, Any]
    parameters: Mapping[str, Any]
    confidence: float
    resamples: int
    seed: int
    measured: Mapping[str, Measured]
    gains: Mapping[str, Mapping[str, Estimate]]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-able values; what has no value is None."""
        return asdict(self)


def evaluate_interactions(
    recommender: Recommends,
    interactions: Any,
    *,
    n_neighbors: int = DEFAULT_N_NEIGHBORS,
    split: str = "leave-one-out",
    test_share: float | None = None,
    cutoff: float | None = None,
    max_users: int | None = None,
    columns: Columns | None = None,
    unknown: str = "refuse",
    min_weight: float | None = None,
    weighted: bool = False,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    random_state: int = 0,
    progress: Progress = ignore,
    **parameters: Any,
) -> Evaluation:
    """Hold out a part of what users chose, recommend from the rest, and see what is found again.

    Parameters
    ----------
    recommender : Recommender
        What is evaluated. Its answers leave out what it is told as likes.
    interactions : path, table, mapping of columns or Interactions
        Who chose what: see `read_interactions`.
    n_neighbors : int, default=10
        Places of a list: the k of all figures.
    split : {"leave-one-out", "time"}, default="leave-one-out"
    test_share, cutoff : float, optional
        Of the split by time.
    max_users : int, optional
        Evaluate so many users, drawn by chance.
    columns : Columns, optional
    unknown : {"refuse", "skip"}, default="refuse"
    min_weight : float, optional
        These as in `read_interactions`.
    weighted : bool, default=False
        Whether the weights of the interactions weigh the likes too.
    confidence : float, default=0.95
        Of the intervals.
    resamples : int, default=1000
        Draws of the bootstrap.
    random_state : int, default=0
        Of all that is drawn: held-out items where there are no times, users, the baseline.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    **parameters
        Passed on to ``recommender.recommend``: a strategy, a diversity, a filter, ...

    Returns
    -------
    Evaluation

    Raises
    ------
    InteractionsRefused, ItemsRefused, StorageError
        As `read_interactions` and `split_interactions` raise them.
    ParameterRefused
        ``n-neighbors-range`` for more than the corpus has rows, ``confidence-range``,
        ``parameter-range``, or what the recommender refuses.

    Notes
    -----
    A query for each user, and O(resamples * n_users) for the intervals. A user that has chosen an
    item is held to dislike nothing else: whoever would have liked a recommendation, but never met
    it, counts as not having liked it. So the figures are low, and good for comparing.
    """
    k = check_n_neighbors(n_neighbors, recommender.catalog.n_samples)
    _check(confidence, resamples)
    if not isinstance(interactions, Interactions):
        interactions = read_interactions(
            interactions, recommender.catalog, columns=columns, unknown=unknown,
            min_weight=min_weight,
        )  # fmt: skip
    held = split_interactions(
        interactions, recommender.catalog.n_samples, split=split, test_share=test_share,
        cutoff=cutoff, max_users=max_users, seed=random_state,
    )  # fmt: skip
    asking = Recommended(recommender, parameters, weighted=weighted, progress=progress)
    rankers: dict[str, Ranker] = {
        RECOMMENDER: asking,
        POPULAR: most_popular,
        RANDOM: AtRandom(random_state),
    }
    index = recommender.index
    answers = {name: ranker(held, k) for name, ranker in rankers.items()}
    measured, gains = _measure(
        answers, held, index.rows, index.metric, confidence, resamples, random_state
    )
    return Evaluation(
        n_neighbors=k,
        n_samples=index.n_samples,
        metric=index.metric,
        interactions=interactions.to_dict(),
        split=held.to_dict(),
        parameters=parameters,
        confidence=confidence,
        resamples=resamples,
        seed=random_state,
        measured=measured,
        gains=gains,
    )


def _check(confidence: float, resamples: int) -> None:
    if not 0 < confidence < 1:
        raise ParameterRefused(
            "confidence-range", f"Expected a confidence between 0 and 1, got {confidence}."
        )
    if resamples < 1:
        raise ParameterRefused(
            "parameter-range", f"Expected resamples of 1 or more, got {resamples}."
        )


def _measure(
    answers: Mapping[str, RowArray],
    split: Split,
    rows: Rows,
    metric: str,
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Measured], dict[str, dict[str, Estimate]]]:
    """Return the figures of all rankers, and what the recommender gains; users are drawn once."""
    columns: dict[tuple[str, str, str], Float64Array] = {}
    merits = {name: merits_of(lists, split, rows, metric) for name, lists in answers.items()}
    for name, lists in answers.items():
        columns |= {("merit", name, merit): values for merit, values in merits[name].items()}
        found = np.cumsum(hits_of(lists, split.held_out), axis=1)
        shares = found / split.held_out.lengths[:, None]
        columns |= {("curve", name, str(at)): column for at, column in enumerate(shares.T)}
    for name in BASELINES:
        for merit, values in merits[RECOMMENDER].items():
            columns["gain", name, merit] = values - merits[name][merit]
    found_estimates = estimates_of(
        np.stack(list(columns.values()), axis=1),
        confidence=confidence, resamples=resamples, seed=seed,
    )  # fmt: skip
    estimates = dict(zip(columns, found_estimates, strict=True))

    def under(kind: str, name: str) -> dict[str, Estimate]:
        return {key[2]: one for key, one in estimates.items() if key[:2] == (kind, name)}

    measured = {
        name: Measured(
            merits=under("merit", name),
            coverage=coverage_of(lists, len(split.popularity)),
            curve=tuple(under("curve", name).values()),
            n_short=int((lists == NOTHING).any(axis=1).sum()),
        )
        for name, lists in answers.items()
    }
    return measured, {name: under("gain", name) for name in BASELINES}
