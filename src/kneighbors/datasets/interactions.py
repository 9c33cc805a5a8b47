"""Who liked which of the generated wines, and when: for evaluating recommendations.

A user's taste are the terms of one wine. Of the wines that a user comes across, half of that wine's
variety, some because they are well known and some by chance, those that share most terms with the
taste are liked. So a search
by the likes' vectors finds more of what was held out than a list of what is popular does, and that
finds more than chance.

Whole numbers only, as in `kneighbors.datasets.draws`: the same table on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from kneighbors.datasets.draws import Choice, below, bits
from kneighbors.datasets.tasting import Numbers
from kneighbors.datasets.vocabulary import TERMS
from kneighbors.datasets.whole import whole
from kneighbors.errors import ParameterRefused

if TYPE_CHECKING:
    import pyarrow as pa

    from kneighbors.datasets.wines import Wines

# The names have six digits.
_MOST_USERS: Final = 1_000_000
_SEEDS: Final = 2**63

#: How many users like so many wines. Some like one only: whoever evaluates has to cope with them.
_LIKES: Final = {1: 2, 3: 6, 5: 12, 8: 20, 12: 22, 18: 18, 25: 12, 40: 8}
#: Wines that a user comes across. The table is the better told from chance, the more there are.
_SEEN: Final = 400
#: A shared term counts as much as this; chance decides among wines that share as many.
_TERM: Final = 1 << 20
_BLOCK_USERS: Final = 256

_BEGIN: Final = 1_577_836_800  # 2020-01-01, in seconds since 1970
_SECONDS: Final = 3 * 365 * 86_400


def make_interactions(wines: Wines, n_users: int = 1000, seed: int = 0) -> pa.Table:
    """Generate what users with tastes of their own liked.

    Parameters
    ----------
    wines : Wines
        As `make_wines` makes them.
    n_users : int, default=1000
        1 to 1,000,000.
    seed : int, default=0
        Which users, 0 to 2**63 - 1.

    Returns
    -------
    pyarrow.Table
        A row for each like, those of a user in the order of time: user (``"user-000000"`` and so
        on), item (an id of `wines`), time (a timestamp of 2020 to 2022, in seconds) and weight
        (3.0, 4.0 or 5.0: the more terms are shared, the more). A user likes 1 to 40 wines, none of
        them twice.

    Raises
    ------
    ParameterRefused
        ``parameter-type`` or ``parameter-range``, as `make_wines`; ``parameter-range`` as well
        where there are fewer than 80 wines to choose from.

    Notes
    -----
    O(n_users * 400 * 14): 3 s for 10,000 users. The same arguments give the same table on every
    machine, and fewer users are the first of more.

    Examples
    --------
    >>> from kneighbors.datasets import make_wines
    >>> likes = make_interactions(make_wines(500), n_users=10)
    >>> likes.column_names
    ['user', 'item', 'time', 'weight']
    >>> likes["user"][0].as_py()
    'user-000000'
    """
    n_users = whole("n_users", n_users, 1, _MOST_USERS)
    seed = whole("seed", seed, 0, _SEEDS - 1)
    least = 2 * max(_LIKES)
    if len(wines) < least:
        raise ParameterRefused(
            "parameter-range", f"Expected {least} wines or more, got {len(wines)}."
        )
    import pyarrow as pa

    shelf = _Shelf(wines, seed)
    blocks = [
        _liked(seed, np.arange(start, min(start + _BLOCK_USERS, n_users)), shelf)
        for start in range(0, n_users, _BLOCK_USERS)
    ]
    users, rows, times, weights = (np.concatenate(part) for part in zip(*blocks, strict=True))
    names = pa.array([f"user-{user:06d}" for user in range(n_users)])
    return pa.table(
        {
            "user": names.take(pa.array(users)),
            "item": pa.array(wines.ids).take(pa.array(rows)),
            "time": pa.array(times).cast(pa.timestamp("s")),
            "weight": pa.array(weights.astype(np.float64)),
        }
    )


class _Shelf:
    """What users look at, and how they find it.

    Parameters
    ----------
    wines : Wines
    seed : int
        Says which wines are famous.
    """

    def __init__(self, wines: Wines, seed: int) -> None:
        self.terms = _terms_of(wines)
        self.fame = np.argsort(bits(seed, "fame", np.arange(len(wines))), kind="stable")
        variety = _codes_of(wines.items["variety"])
        self.by_variety = np.argsort(variety, kind="stable")
        sizes = np.bincount(variety)
        # Of each wine's variety: where its wines begin in `by_variety`, and how many there are.
        self.begin = (np.cumsum(sizes) - sizes)[variety]
        self.size = sizes[variety]

    def __len__(self) -> int:
        return len(self.terms)


def _terms_of(wines: Wines) -> Numbers:
    """Return each wine's terms as places in `TERMS`, filled up with one more to a rectangle."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = wines.items["terms"].combine_chunks()
    lengths = pc.list_value_length(column).to_numpy()
    places = pc.index_in(column.flatten(), value_set=pa.array(TERMS)).to_numpy()
    filled = np.arange(lengths.max()) < lengths[:, None]
    table = np.full(filled.shape, len(TERMS), np.int64)
    table[filled] = places
    return table


def _codes_of(column: pa.ChunkedArray) -> Numbers:
    """Return a column of text as numbers, in the order of the texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = column.cast(pa.string())
    codes = pc.index_in(text, value_set=pc.unique(text).sort()).to_numpy()
    return np.asarray(codes, np.int64)


def _liked(seed: int, users: Numbers, shelf: _Shelf) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Return users, rows, times and weights of the likes of some users."""
    homes = below(bits(seed, "home", users), len(shelf))
    numbers = users[:, None] * _SEEN + np.arange(_SEEN)
    seen = _seen(seed, numbers, homes, shelf)
    shared = _shared(homes, seen, shelf.terms)
    score = shared * _TERM + below(bits(seed, "whim", numbers), _TERM)
    score[_repeated(seen)] = -1

    best = np.argsort(-score, axis=1, kind="stable")[:, : max(_LIKES)]
    count = np.array(list(_LIKES))[_counts().pick(bits(seed, "count", users))]
    kept = np.arange(best.shape[1]) < count[:, None]
    kept &= np.take_along_axis(score, best, axis=1) >= 0

    places = users[:, None] * max(_LIKES) + np.arange(max(_LIKES))
    # Those that are not kept go to the end.
    times = np.where(kept, below(bits(seed, "time", places), _SECONDS), _SECONDS)
    order = np.argsort(times, axis=1, kind="stable")
    best, times = (np.take_along_axis(part, order, axis=1) for part in (best, times))
    kept = np.take_along_axis(kept, order, axis=1)
    rows = np.take_along_axis(seen, best, axis=1)
    weights = np.clip(np.take_along_axis(shared, best, axis=1) + 1, 3, 5)
    return np.repeat(users, kept.sum(axis=1)), rows[kept], _BEGIN + times[kept], weights[kept]


def _seen(seed: int, numbers: Numbers, homes: Numbers, shelf: _Shelf) -> Numbers:
    """Return the wines that users come across: of four, two of a variety, and a famous one."""
    n = len(shelf)
    rows = below(bits(seed, "seen", numbers), n)
    # The product of two uniform numbers is small more often than not.
    famous = shelf.fame[rows * below(bits(seed, "rank", numbers), n) // n]
    place = below(bits(seed, "like", numbers), shelf.size[homes][:, None])
    alike = shelf.by_variety[shelf.begin[homes][:, None] + place]
    return np.where(numbers % 4 == 0, famous, np.where(numbers % 4 == 1, rows, alike))


def _shared(homes: Numbers, seen: Numbers, terms: Numbers) -> Numbers:
    """Return how many terms each wine that is seen shares with the user's own."""
    tastes = np.zeros((len(homes), len(TERMS) + 1), np.bool_)
    np.put_along_axis(tastes, terms[homes], True, axis=1)
    tastes[:, len(TERMS)] = False
    shared = np.zeros(seen.shape, np.int64)
    for column in terms.T:
        shared += np.take_along_axis(tastes, column[seen], axis=1)
    return shared


def _repeated(seen: Numbers) -> NDArray[np.bool_]:
    """Return which wines stand in a user's list a second time."""
    order = np.argsort(seen, axis=1, kind="stable")
    ordered = np.take_along_axis(seen, order, axis=1)
    again = np.zeros(seen.shape, np.bool_)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    repeated = np.zeros(seen.shape, np.bool_)
    np.put_along_axis(repeated, order, again, axis=1)
    return repeated


def _counts() -> Choice:
    return Choice([list(_LIKES.values())])
