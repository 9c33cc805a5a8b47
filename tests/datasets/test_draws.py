"""Draws depend on seed, stream and row, are uniform, and are the same for ever."""

from __future__ import annotations

import numpy as np

from kneighbors.datasets.draws import Choice, bell, below, bits

ROWS = np.arange(100_000)


def test_the_mixing_is_that_of_splitmix64() -> None:
    # SplitMix64's stream from the state 0: its first three outputs, as published implementations
    # give them. Row i of a stream with key 0 is output i - 1.
    from kneighbors.datasets import draws

    golden = draws._GOLDEN
    outputs = [draws._mix(golden * row) for row in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_arrays_are_mixed_as_single_numbers_are() -> None:
    from kneighbors.datasets import draws

    key = draws._key_of(7, "a stream")
    expected = [draws._mix(key + draws._GOLDEN * row) for row in range(50)]
    assert bits(7, "a stream", np.arange(50)).tolist() == expected


def test_a_row_is_drawn_alike_alone_and_among_others() -> None:
    together = bits(3, "x", ROWS)
    assert together[777] == bits(3, "x", np.array([777]))[0]
    assert np.array_equal(together[::-1], bits(3, "x", ROWS[::-1]))


def test_seeds_and_streams_differ() -> None:
    drawn = [bits(seed, stream, ROWS[:1000]) for seed in (0, 1, 2**63 - 1) for stream in "ab"]
    assert len(np.unique(np.concatenate(drawn))) == 6000


def test_numbers_below_a_total_are_evenly_spread() -> None:
    counts = np.bincount(below(bits(0, "even", ROWS), 10), minlength=10)
    # The spread of a count is about 95.
    assert len(counts) == 10
    assert np.abs(counts - 10_000).max() < 500


def test_the_bell_has_mean_zero_and_variance_one() -> None:
    drawn = bell(bits(0, "bell", ROWS))
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.var() - 1.0) < 0.02
    assert np.abs(drawn).max() < 3.47


def test_a_choice_follows_its_weights_and_never_takes_what_weighs_nothing() -> None:
    choice = Choice([[1, 0, 3], [0, 5, 0]])
    kinds = ROWS % 2
    chosen = choice.pick(bits(0, "choice", ROWS), kinds)
    assert set(chosen[kinds == 1].tolist()) == {1}
    first = np.bincount(chosen[kinds == 0], minlength=3)
    assert first[1] == 0
    assert abs(first[2] / first[0] - 3.0) < 0.1
