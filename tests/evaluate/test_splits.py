"""What is held out, from whom, and who is left out."""

from __future__ import annotations

from typing import Any

import pytest

from kneighbors.errors import InteractionsRefused, ParameterRefused
from kneighbors.evaluate import read_interactions
from kneighbors.evaluate.splits import Split, split_interactions
from kneighbors.items import Catalog

N = 10


def split(lines: list[tuple[Any, ...]], **options: Any) -> Split:
    names = ("user", "item", "time", "weight")
    columns = zip(names, map(list, zip(*lines, strict=True)), strict=False)
    return split_interactions(read_interactions(dict(columns), Catalog(N)), N, **options)


def parts(found: Split) -> dict[Any, tuple[list[int], list[int]]]:
    return {
        user: (found.likes[place].tolist(), found.held_out[place].tolist())
        for place, user in enumerate(found.users)
    }


LINES = [("a", 1, 10), ("b", 2, 11), ("a", 3, 30), ("a", 4, 20), ("b", 5, 5), ("c", 6, 40)]


def test_the_last_of_each_user_is_left_out() -> None:
    found = split(LINES)
    assert {"a": ([1, 4], [3]), "b": ([5], [2])} == parts(found)
    assert 1 == found.n_too_few


def test_whoever_has_one_interaction_still_adds_to_what_is_popular() -> None:
    found = split(LINES)
    assert [0, 1, 0, 0, 1, 1, 1, 0, 0, 0] == found.popularity.tolist()
    assert 3 == found.n_train_users


def test_of_two_at_the_same_time_the_later_line_is_the_last() -> None:
    assert {"a": ([1], [2])} == parts(split([("a", 1, 7), ("a", 2, 7)]))


def test_without_times_chance_says_which_is_left_out_and_the_seed_says_chance() -> None:
    lines = [(user, item) for user in range(50) for item in range(6)]
    found = split(lines, seed=3)
    held = [rows[0] for _, rows in parts(found).values()]
    assert len(set(held)) == 6
    assert held == [rows[0] for _, rows in parts(split(lines, seed=3)).values()]
    assert held != [rows[0] for _, rows in parts(split(lines, seed=4)).values()]
    assert all(5 == len(likes) for likes, _ in parts(found).values())


def test_what_came_after_a_time_is_held_out() -> None:
    found = split(LINES, split="time", cutoff=11.0)
    assert {"a": ([1], [3, 4]), "b": ([5], [2])} == parts(found)
    assert (1, 0, 0) == (found.n_too_few, found.n_unseen, found.n_gone)


def test_users_on_one_side_of_the_cutoff_are_counted() -> None:
    lines = [*LINES, ("d", 1, 1), ("d", 2, 2), ("e", 1, 50), ("e", 2, 51)]
    found = split(lines, split="time", cutoff=11.0)
    assert ["a", "b"] == found.users
    assert (1, 1, 1) == (found.n_too_few, found.n_unseen, found.n_gone)


def test_nothing_after_the_cutoff_is_known_to_be_popular() -> None:
    found = split(LINES, split="time", cutoff=11.0)
    assert [1, 5] == [row for row in range(N) if found.popularity[row]]


@pytest.mark.parametrize(("share", "held_out"), [(0.2, 2), (0.5, 5), (0.01, 1)])
def test_a_share_of_the_interactions_is_held_out(share: float, held_out: int) -> None:
    lines = [("a", item, item) for item in range(10)]
    assert held_out == len(split(lines, split="time", test_share=share).held_out.rows)


def test_weights_stay_with_their_likes() -> None:
    lines = [
        ("b", 1, 1, 5.0),
        ("a", 2, 1, 2.0),
        ("b", 3, 2, 7.0),
        ("a", 4, 3, 1.0),
        ("b", 0, 9, 1.0),
    ]
    found = split(lines)
    assert found.weights is not None
    assert [(1, 5.0), (3, 7.0), (2, 2.0)] == list(
        zip(found.likes.rows.tolist(), found.weights.tolist(), strict=True)
    )
    assert ["b", "a"] == found.users


def test_some_users_are_drawn_and_what_is_popular_is_counted_over_all() -> None:
    lines = [(user, item, item) for user in range(50) for item in (1, 2)]
    found = split(lines, max_users=7)
    assert 7 == len(found) == len(found.likes)
    assert 50 == found.popularity[1]
    assert found.users == split(lines, max_users=7).users != split(lines, max_users=7, seed=1).users


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([("a", 1, 1), ("b", 2, 2)], {}, "two interactions or more, got none among 2 users, of "
         "whom 2 have one"),
        (LINES, {"split": "time", "cutoff": 99.0}, "both sides of the cutoff"),
        (LINES, {"split": "time", "cutoff": 0.0}, "both sides of the cutoff"),
    ],
)  # fmt: skip
def test_a_split_that_leaves_nobody_is_refused(
    lines: list[tuple[Any, ...]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InteractionsRefused, match=message) as caught:
        split(lines, **options)
    assert "interactions-too-few" == caught.value.code


def test_skipping_everything_leaves_nobody() -> None:
    found = read_interactions({"user": ["a"], "item": [77]}, Catalog(N), unknown="skip")
    with pytest.raises(InteractionsRefused, match="none among 0 users"):
        split_interactions(found, N)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"split": "random"}, "split-unknown"),
        ({"cutoff": 3.0}, "parameter-conflict"),
        ({"split": "time", "cutoff": 3.0, "test_share": 0.1}, "parameter-conflict"),
        ({"split": "time", "test_share": 1.0}, "test-share-range"),
        ({"split": "time", "test_share": float("nan")}, "test-share-range"),
        ({"max_users": 0}, "parameter-range"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(options: dict[str, Any], code: str) -> None:
    with pytest.raises(ParameterRefused) as caught:
        split(LINES, **options)
    assert code == caught.value.code


def test_a_split_by_time_needs_times() -> None:
    with pytest.raises(ParameterRefused) as caught:
        split([("a", 1), ("a", 2)], split="time")
    assert "split-needs-times" == caught.value.code
