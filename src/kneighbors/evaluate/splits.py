"""What a recommender is told of each user, and what is held out to see whether it finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import InteractionsRefused, ParameterRefused
from kneighbors.evaluate.interactions import Interactions
from kneighbors.items.quoting import quoted
from kneighbors.search.rows import RowArray

Float64Array = NDArray[np.float64]

SPLITS = ("leave-one-out", "time")
_TEST_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Ragged:
    """Lists of rows of several lengths, one after the other.

    Parameters
    ----------
    rows : ndarray of shape (n,), dtype int64
    starts : ndarray of shape (n_lists + 1,), dtype int64
        Where each list begins, and where the last one ends.
    """

    rows: RowArray
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, place: int) -> RowArray:
        return self.rows[self.starts[place] : self.starts[place + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How long each list is."""
        return np.diff(self.starts)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The list that each row stands in, of the shape of `rows`."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @classmethod
    def of(cls, owners: NDArray[np.int64], rows: RowArray, n_lists: int) -> Ragged:
        """Sort rows into the lists that they belong to; each list keeps their order."""
        order = np.argsort(owners, kind="stable")
        starts = np.zeros(n_lists + 1, np.int64)
        np.cumsum(np.bincount(owners, minlength=n_lists), out=starts[1:])
        return cls(rows[order], starts)


@dataclass(frozen=True, eq=False)
class Split:
    """Users with what they are known to like, and what they turned out to like.

    Attributes
    ----------
    name : str
        ``"leave-one-out"`` or ``"time"``.
    users : list of (str or int)
        Those that are evaluated.
    likes : Ragged
        Rows that the recommender is told, for each user; one or more.
    weights : ndarray of shape (len(likes.rows),), dtype float64, or None
        Of the likes.
    held_out : Ragged
        Rows to be found, for each user; one or more, none of them among the likes.
    popularity : ndarray of shape (n_samples,), dtype int64
        Users who are known to like each row, those that are not evaluated among them.
    n_train_users : int
        Users of whom anything is known.
    cutoff : float, optional
        Where time was cut: what is as late or later is held out.
    n_too_few : int
        Users who are left out because they have one interaction, so that nothing could be held out
        or nothing would be known.
    n_unseen, n_gone : int
        Users who are left out because all of theirs lies after the cutoff, or before it.
    """

    name: str
    users: list[str | int]
    likes: Ragged
    weights: Float64Array | None
    held_out: Ragged
    popularity: NDArray[np.int64]
    n_train_users: int
    cutoff: float | None = None
    n_too_few: int = 0
    n_unseen: int = 0
    n_gone: int = 0

    def __len__(self) -> int:
        return len(self.users)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-able values."""
        return {
            "name": self.name,
            "users": len(self),
            "likes": len(self.likes.rows),
            "held_out": len(self.held_out.rows),
            "cutoff": self.cutoff,
            "users_with_one_interaction": self.n_too_few,
            "users_after_cutoff_only": self.n_unseen,
            "users_before_cutoff_only": self.n_gone,
        }


def split_interactions(
    interactions: Interactions,
    n_samples: int,
    *,
    split: str = "leave-one-out",
    test_share: float | None = None,
    cutoff: float | None = None,
    max_users: int | None = None,
    seed: int = 0,
) -> Split:
    """Hold out a part of what users chose.

    Parameters
    ----------
    interactions : Interactions
    n_samples : int
        Rows of the corpus.
    split : {"leave-one-out", "time"}, default="leave-one-out"
        Of each user the last one, or one drawn by chance where there are no times; or of all users
        what came after a time, which is what a recommender in use has to do.
    test_share : float, default=0.2
        With ``"time"``: the share of interactions that is held out, unless `cutoff` says when.
    cutoff : float, optional
        With ``"time"``: what is as late or later is held out.
    max_users : int, optional
        Evaluate so many, drawn by chance; what is popular is still counted over all.
    seed : int, default=0
        Of what is drawn.

    Returns
    -------
    Split

    Raises
    ------
    ParameterRefused
        ``split-unknown``, ``split-needs-times``, ``test-share-range``, ``parameter-conflict`` or
        ``parameter-range``.
    InteractionsRefused
        ``interactions-too-few``: no user is left to evaluate.

    Examples
    --------
    >>> from kneighbors.evaluate.interactions import read_interactions
    >>> from kneighbors.items import Catalog
    >>> table = {"user": ["ann", "ann", "bob"], "item": [4, 2, 4], "time": [1, 2, 3]}
    >>> held = split_interactions(read_interactions(table, Catalog(5)), 5)
    >>> held.users, held.likes[0], held.held_out[0], held.n_too_few
    (['ann'], array([4]), array([2]), 1)
    """
    if split not in SPLITS:
        raise ParameterRefused(
            "split-unknown", f"Expected a split of {' or '.join(SPLITS)}, got {quoted(split)}."
        )
    if split != "time" and not (test_share is None and cutoff is None):
        raise ParameterRefused(
            "parameter-conflict", "Expected test_share and cutoff with a split by time only."
        )
    if max_users is not None and max_users < 1:
        raise ParameterRefused(
            "parameter-range", f"Expected max_users of 1 or more, got {max_users}."
        )
    rng = np.random.default_rng(seed)
    if split == "time":
        cutoff = _cutoff(interactions, test_share, cutoff)
        is_held_out = np.asarray(interactions.times) >= cutoff
    else:
        is_held_out = _last_of_each(interactions, rng)
    return _parted(interactions, is_held_out, n_samples, split, cutoff, max_users, rng)


def _last_of_each(interactions: Interactions, rng: np.random.Generator) -> NDArray[np.bool_]:
    users = interactions.users
    drawn = rng.random(len(users))
    when = drawn if interactions.times is None else interactions.times
    # Of two at the same time the later line is the last.
    order = np.lexsort((np.arange(len(users)), when, users))
    is_last = np.zeros(len(users), np.bool_)
    is_last[order[np.flatnonzero(np.diff(users[order], append=-1))]] = True
    # Whoever has one only is known by it, and adds to what is popular.
    return is_last & (np.bincount(users)[users] > 1) if len(users) else is_last


def _cutoff(interactions: Interactions, test_share: float | None, cutoff: float | None) -> float:
    if interactions.times is None:
        raise ParameterRefused(
            "split-needs-times",
            "Expected times to split by, got interactions without them.",
            hint="Name the column of times, or leave one out.",
        )
    if cutoff is not None:
        if test_share is not None:
            raise ParameterRefused(
                "parameter-conflict", "Expected either test_share or cutoff, got both."
            )
        return cutoff
    share = _TEST_SHARE if test_share is None else test_share
    if not 0 < share < 1:
        raise ParameterRefused(
            "test-share-range", f"Expected a test_share between 0 and 1, got {share}."
        )
    if not len(interactions):
        return 0.0
    ordered = np.sort(interactions.times)
    return float(ordered[min(int(np.ceil((1 - share) * len(ordered))), len(ordered) - 1)])


def _parted(
    interactions: Interactions,
    is_held_out: NDArray[np.bool_],
    n_samples: int,
    name: str,
    cutoff: float | None,
    max_users: int | None,
    rng: np.random.Generator,
) -> Split:
    users, rows = interactions.users, interactions.rows
    n_users = len(interactions.names)
    counts = np.bincount(users, minlength=n_users)
    n_held_out = np.bincount(users[is_held_out], minlength=n_users)
    has_likes, has_held_out = n_held_out < counts, n_held_out > 0
    is_left_out = ~(has_likes & has_held_out)
    chosen = np.flatnonzero(~is_left_out)
    if not len(chosen):
        raise _nobody(name, n_users, int((counts == 1).sum()))
    if max_users is not None and len(chosen) > max_users:
        chosen = np.sort(rng.choice(chosen, max_users, replace=False))
    number = np.full(n_users, -1, np.int64)
    number[chosen] = np.arange(len(chosen))
    owners = number[users]
    is_known, is_asked = ~is_held_out & (owners >= 0), is_held_out & (owners >= 0)
    weights = interactions.weights
    order = np.argsort(owners[is_known], kind="stable")
    several = counts > 1
    return Split(
        name=name,
        users=[interactions.names[user] for user in chosen.tolist()],
        likes=Ragged.of(owners[is_known], rows[is_known], len(chosen)),
        weights=None if weights is None else weights[is_known][order],
        held_out=Ragged.of(owners[is_asked], rows[is_asked], len(chosen)),
        popularity=np.bincount(rows[~is_held_out], minlength=n_samples),
        n_train_users=int(has_likes.sum()),
        cutoff=cutoff,
        n_too_few=int((is_left_out & ~several).sum()),
        n_unseen=int((is_left_out & several & ~has_likes).sum()),
        n_gone=int((is_left_out & several & ~has_held_out).sum()),
    )


def _nobody(name: str, n_users: int, n_single: int) -> InteractionsRefused:
    why = (
        "interactions on both sides of the cutoff" if name == "time" else "two interactions or more"
    )
    return InteractionsRefused(
        "interactions-too-few",
        f"Expected a user with {why}, got none among {n_users} users, of whom {n_single} "
        "have one interaction.",
        hint="Move the cutoff." if name == "time" else None,
    )
