"""Our answers beside scikit-learn's, and the time that each took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Distances = NDArray[np.float64]
Indices = NDArray[np.int64]
Neighbours = tuple[Distances, Indices]

#: Distances may differ by this much: scikit-learn's 1 - cos cancels digits.
TOLERANCE = 1e-6
#: Distances this close are a tie: it is what rounding in float64 alone can turn around.
_TIE = 1e-12
#: Longer than OpenMP and BLAS threads spin before they sleep.
_SETTLE_S = 0.02


@dataclass(frozen=True)
class Agreement:
    """Whether two answers are the same.

    Parameters
    ----------
    queries : int
        How many were compared.
    largest_difference : float
        Between two distances of the same rank.
    faults : tuple of str
        One sentence for each query that disagrees.
    """

    queries: int
    largest_difference: float
    faults: tuple[str, ...]


def compare(ours: Neighbours, theirs: Neighbours) -> Agreement:
    """Compare the rows and distances of two answers, rank by rank, up to exact ties.

    Parameters
    ----------
    ours, theirs : tuple of arrays of shape (n_queries, n_neighbors)
        Distances, ascending, and rows.

    Returns
    -------
    Agreement

    Notes
    -----
    Where neighbours tie, any order of their rows is right, and where the tie goes on beyond the
    last neighbour, any choice of them.

    Examples
    --------
    >>> d = np.array([[0.1, 0.2, 0.2]])
    >>> compare((d, np.array([[7, 3, 9]])), (d, np.array([[7, 9, 3]]))).faults
    ()
    >>> compare((d, np.array([[7, 3, 9]])), (d, np.array([[3, 7, 9]]))).faults
    ('query 0, rank 0: row 7 here, row 3 in scikit-learn',)
    """
    faults: list[str] = []
    differences = np.abs(ours[0] - theirs[0])
    for query in range(len(differences)):
        fault = _fault(
            ours[0][query], ours[1][query], theirs[0][query], theirs[1][query], differences[query]
        )
        if fault is not None:
            faults.append(f"query {query}, {fault}")
    largest = float(differences.max()) if differences.size else 0.0
    return Agreement(len(differences), largest, tuple(faults))


def _fault(
    distances: Distances,
    rows: Indices,
    their_distances: Distances,
    their_rows: Indices,
    differences: Distances,
) -> str | None:
    wrong = np.flatnonzero(~(differences <= TOLERANCE))
    if wrong.size:
        rank = int(wrong[0])
        return (
            f"rank {rank}: distance {distances[rank]!r} here, {their_distances[rank]!r} in "
            "scikit-learn"
        )
    for rank in np.flatnonzero(rows != their_rows).tolist():
        # Someone else at this rank: only among rows at the very same distance.
        tied = np.abs(distances - distances[rank]) <= _TIE
        beyond = abs(distances[rank] - distances[-1]) <= _TIE
        if set(rows[tied]) != set(their_rows[tied]) and not beyond:
            return f"rank {rank}: row {rows[rank]} here, row {their_rows[rank]} in scikit-learn"
    return None


@dataclass(frozen=True)
class Contestant:
    """Who answers queries, and what has to be set before.

    Parameters
    ----------
    name : str
    ask : callable
        Answers queries of shape (1, n_features).
    prepare : callable, optional
        Called, untimed, whenever its turn comes.
    """

    name: str
    ask: Callable[[NDArray[Any]], object]
    prepare: Callable[[], object] = lambda: None


def medians_ms(
    contestants: Sequence[Contestant], queries: NDArray[np.floating[Any]], budget_s: float
) -> tuple[dict[str, float], int]:
    """Time single queries of several contestants in turn, so that all meet the same machine.

    Before a query is timed, the one before has been over for a moment and the contestant has
    answered one query untimed: threads of another library that still wait for work, and caches
    that it has emptied, are no part of what a query costs where it is one of many.

    Parameters
    ----------
    contestants : sequence of Contestant
    queries : ndarray of shape (n_queries, n_features)
        Asked in this order, one a turn.
    budget_s : float
        Seconds after which no further turn begins; there are three turns at least.

    Returns
    -------
    medians : dict of str to float
        Milliseconds a query, by the name of the contestant.
    turns : int
        How many queries each of them answered.
    """
    times: dict[str, list[float]] = {one.name: [] for one in contestants}
    began = time.perf_counter()
    turns = 0
    while turns < len(queries) and (turns < 3 or time.perf_counter() - began < budget_s):
        query = queries[turns : turns + 1]
        for one in contestants:
            one.prepare()
            time.sleep(_SETTLE_S)
            one.ask(queries[turns - 1 : turns] if turns else queries[-1:])
            start = time.perf_counter()
            one.ask(query)
            times[one.name].append((time.perf_counter() - start) * 1e3)
        turns += 1
    return {name: float(np.median(values)) for name, values in times.items()}, turns
