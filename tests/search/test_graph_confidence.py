"""Bounds of a mean recall hold as often as they say, and are not wider than they need be."""

from __future__ import annotations

import numpy as np
import pytest

from kneighbors.search.graph_confidence import fewest_queries, interval, lower_bound


@pytest.mark.parametrize("share", [0.05, 0.25])
def test_a_lower_bound_is_wrong_no_more_often_than_it_may_be(share: float) -> None:
    random = np.random.default_rng(0)
    mean = 1 - 0.2 * share
    wrong = sum(
        lower_bound(np.where(random.random(400) < share, 0.8, 1.0), 0.9) > mean for _ in range(300)
    )
    assert wrong <= 30


def test_a_perfect_sample_shows_no_more_than_its_size_can() -> None:
    # A search that fails one query in 300 altogether would show such a sample in 37 % of all cases.
    bound = lower_bound(np.ones(300), 0.95)
    assert 0.985 < bound < 0.05 ** (1 / 300)


def test_more_queries_bring_the_bound_closer() -> None:
    random = np.random.default_rng(1)
    recalls = np.where(random.random(20_000) < 0.1, 0.9, 1.0)
    gaps = [0.99 - lower_bound(recalls[:n], 0.95) for n in (200, 2000, 20_000)]
    assert gaps[0] > gaps[1] > gaps[2] > 0
    # That of a normal approximation is 0.00035.
    assert gaps[2] < 0.002


def test_no_queries_show_nothing() -> None:
    assert lower_bound(np.empty(0), 0.95) == 0.0


def test_an_interval_reaches_both_ways() -> None:
    low, high = interval(np.tile([0.5, 1.0], 200), 0.95)
    assert 0.6 < low < 0.75 < high < 0.9


@pytest.mark.parametrize("target", [0.5, 0.9, 0.99])
def test_the_fewest_queries_are_just_enough(target: float) -> None:
    n = fewest_queries(target, 0.95)
    assert lower_bound(np.ones(n), 0.95) >= target > lower_bound(np.ones(n - 1), 0.95)
    # Fewer than these can show it by no method at all.
    assert n >= np.log(0.05) / np.log(target)
