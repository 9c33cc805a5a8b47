from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kneighbors.cli.demo_compare import Contestant, compare, medians_ms


def answer(distances: list[float], rows: list[int]) -> tuple[Any, Any]:
    return np.array([distances]), np.array([rows])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (([0.1, 0.2], [4, 7]), ([0.1, 0.2], [4, 7])),
        (([0.1, 0.2], [4, 7]), ([0.1 + 9e-7, 0.2 - 9e-7], [4, 7])),
        # Rows that tie may come in any order,
        (([0.1, 0.1, 0.2], [4, 7, 9]), ([0.1, 0.1, 0.2], [7, 4, 9])),
        # and of those that tie with the last, any may be chosen.
        (([0.1, 0.2, 0.2], [4, 7, 9]), ([0.1, 0.2, 0.2], [4, 9, 30])),
    ],
)
def test_answers_that_are_the_same_agree(ours: Any, theirs: Any) -> None:
    assert compare(answer(*ours), answer(*theirs)).faults == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (([0.1, 0.2], [4, 7]), ([0.1, 0.2 + 2e-6], [4, 7]), "rank 1: distance"),
        (([0.1, np.nan], [4, 7]), ([0.1, 0.2], [4, 7]), "rank 1: distance"),
        (([0.1, 0.2], [4, 7]), ([0.1, 0.2], [5, 7]), "rank 0: row 4 here, row 5"),
        # A distance within the tolerance does not excuse a wrong row.
        (([0.1, 0.1 + 1e-7, 0.2], [4, 7, 9]), ([0.1, 0.1 + 1e-7, 0.2], [7, 4, 9]), "rank 0"),
        (([0.1, 0.1, 0.2], [4, 7, 9]), ([0.1, 0.1, 0.2], [7, 5, 9]), "rank 0"),
    ],
)
def test_answers_that_differ_are_told_with_their_rank(ours: Any, theirs: Any, words: str) -> None:
    (fault,) = compare(answer(*ours), answer(*theirs)).faults
    assert words in fault


def test_the_largest_difference_is_over_all_queries() -> None:
    ours = np.array([[0.1, 0.2], [0.3, 0.4]])
    rows = np.array([[1, 2], [3, 4]])
    found = compare((ours, rows), (ours + np.array([[0, 0], [0, 5e-7]]), rows))
    assert found.queries == 2
    assert found.largest_difference == pytest.approx(5e-7)


def test_contestants_are_asked_the_same_queries_in_turn() -> None:
    asked: list[tuple[str, float]] = []

    def contestant(name: str) -> Contestant:
        def answer(query: NDArray[np.float64]) -> None:
            assert query.shape == (1, 1)
            asked.append((name, float(query[0, 0])))

        return Contestant(name, answer, lambda: asked.append((name, -1.0)))

    queries = np.arange(5.0).reshape(-1, 1)
    medians, turns = medians_ms([contestant("a"), contestant("b")], queries, budget_s=60)
    assert turns == 5
    assert set(medians) == {"a", "b"}
    # Each prepares, answers one untimed and then one timed, before it is another's turn.
    assert [name for name, _ in asked] == ["a", "a", "a", "b", "b", "b"] * 5
    prepared, untimed, timed = ([query for _, query in asked[part::3]] for part in range(3))
    assert prepared == [-1.0] * 10
    assert timed == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert all(one != two for one, two in zip(untimed, timed, strict=True))


def test_a_spent_budget_leaves_three_turns() -> None:
    queries = np.zeros((50, 1))
    _, turns = medians_ms([Contestant("a", lambda query: None)], queries, budget_s=0)
    assert turns == 3
