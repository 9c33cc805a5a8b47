"""Metrics that are no sums over the workers, but are computed from such sums.

Each is None as long as too little has been seen to say anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

#: Searches that have to be done again, and queries to be seen, before a share of them means much.
LEAST_CHECKS = 20
LEAST_QUERIES = 200

#: Added to each bin, so that an empty one has a logarithm.
_PRIOR = 0.5


def derived(
    rechecks: Mapping[str, float], nearest: Mapping[str, Sequence[float]]
) -> Iterator[tuple[str, str, float | None]]:
    """Return name, help and value of each such metric.

    Parameters
    ----------
    rechecks : mapping
        What the windows of `kneighbors.server.rechecking` add up to.
    nearest : mapping
        Counts of distances by bin, of the held-out rows and of the queries of late.
    """
    checks = rechecks["checks"]
    is_known = checks >= LEAST_CHECKS and rechecks["wanted"] > 0
    yield (
        "kneighbors_index_recall",
        "Share of the nearest neighbours that approximate answers had, of those checked of late.",
        min(1.0, rechecks["found"] / rechecks["wanted"]) if is_known else None,
    )
    yield "kneighbors_index_recall_checks", "Answers that this is the share of.", checks
    held_out, now = nearest["held-out"], nearest["now"]
    queries = sum(now)
    is_known = queries >= LEAST_QUERIES and sum(held_out) > 0
    yield (
        "kneighbors_query_drift",
        "How differently queries lie to the corpus than its own rows do: 0 as they do, above 0.25 "
        "clearly otherwise (population stability index of the distances to the nearest row).",
        stability_index(held_out, now) if is_known else None,
    )
    yield (
        "kneighbors_query_far_share",
        "Share of the queries that are farther from the corpus than nine tenths of its own rows.",
        now[-1] / queries if is_known else None,
    )
    yield "kneighbors_query_drift_queries", "Queries that these two are about.", queries


def stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """Return the population stability index of two histograms over the same bins.

    It is the sum over the bins of ``(a - e) * log(a / e)``, shares of either, so 0 where they
    agree; without a difference it comes to some ``(bins - 1) * (1 / n_expected + 1 / n_actual)``.

    Examples
    --------
    >>> stability_index([10, 10], [100, 100])
    0.0
    >>> round(stability_index([50, 50], [90, 10]), 2)
    0.85
    """
    total_expected = sum(expected) + _PRIOR * len(expected)
    total_actual = sum(actual) + _PRIOR * len(actual)
    index = 0.0
    for one, other in zip(expected, actual, strict=True):
        e, a = (one + _PRIOR) / total_expected, (other + _PRIOR) / total_actual
        index += (a - e) * math.log(a / e)
    return index
