"""Intervals hold the mean that they are about, as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from kneighbors.evaluate.bootstrap import Estimate, estimates_of


def test_the_interval_of_a_normal_mean_is_the_textbooks() -> None:
    values = np.random.default_rng(0).standard_normal((400, 1))
    (found,) = estimates_of(values, confidence=0.95, resamples=4000, seed=0)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    assert found.low == pytest.approx(values.mean() - half, abs=0.006)
    assert found.high == pytest.approx(values.mean() + half, abs=0.006)


def test_95_intervals_of_100_hold_the_true_mean() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        values = rng.random((100, 1)) < 0.3
        (found,) = estimates_of(values.astype(float), confidence=0.95, resamples=300, seed=seed)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.3 <= found.high
    assert 180 <= held <= 199


def test_a_smaller_confidence_gives_a_smaller_interval() -> None:
    values = np.random.default_rng(0).random((50, 1))
    wide, narrow = (
        estimates_of(values, confidence=confidence, resamples=500, seed=0)[0]
        for confidence in (0.99, 0.5)
    )
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high  # type: ignore[operator]


def test_the_same_users_are_drawn_for_all_columns() -> None:
    one = np.random.default_rng(0).random(60)
    first, second, difference = estimates_of(
        np.stack([one, one + 1.0, np.ones(60)], axis=1), confidence=0.9, resamples=100, seed=5
    )
    assert second.low == pytest.approx((first.low or 0) + 1.0, abs=1e-12)
    assert (1.0, 1.0, 1.0) == (difference.value, difference.low, difference.high)


def test_the_seed_decides_and_blocks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((40, 2))
    whole = estimates_of(values, confidence=0.9, resamples=100, seed=5)
    assert whole != estimates_of(values, confidence=0.9, resamples=100, seed=6)
    monkeypatch.setattr("kneighbors.evaluate.bootstrap._BLOCK", 7 * 40)
    blocks = estimates_of(values, confidence=0.9, resamples=100, seed=5)
    for one, other in zip(whole, blocks, strict=True):
        assert one.low == pytest.approx(other.low, abs=1e-12)


def test_users_without_a_value_do_not_count() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    some, none = estimates_of(values, confidence=0.9, resamples=200, seed=0)
    assert (2.0, 1.0, 3.0) == (some.value, some.low, some.high)
    assert none == Estimate(None, None, None)
