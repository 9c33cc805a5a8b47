"""Generated likes are the same everywhere, and made of tastes."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pytest

from kneighbors.datasets import Wines, make_interactions, make_wines
from kneighbors.errors import ParameterRefused


@pytest.fixture(scope="module")
def wines() -> Wines:
    return make_wines(2000)


@pytest.fixture(scope="module")
def likes(wines: Wines) -> Any:
    return make_interactions(wines, 300)


def test_the_likes_are_the_same_to_the_last_bit_on_every_machine(likes: Any) -> None:
    text = "\n".join(",".join(map(str, row.values())) for row in likes.to_pylist())
    assert "7c13ce627aee3562" == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_fewer_users_are_the_first_of_more(wines: Wines, likes: Any) -> None:
    fewer = make_interactions(wines, 40)
    assert fewer.equals(likes.slice(0, fewer.num_rows))


def test_another_seed_gives_other_likes(wines: Wines, likes: Any) -> None:
    assert not make_interactions(wines, 300, seed=1).equals(likes)


def test_every_user_likes_something_none_of_it_twice_and_in_the_order_of_time(likes: Any) -> None:
    of_user: dict[str, list[Any]] = {}
    for row in likes.to_pylist():
        of_user.setdefault(row["user"], []).append((row["time"], row["item"]))
    assert [f"user-{user:06d}" for user in range(300)] == list(of_user)
    for pairs in of_user.values():
        times, items = zip(*pairs, strict=True)
        assert sorted(times) == list(times)
        assert len(set(items)) == len(items) <= 40


def test_some_users_like_one_wine_only(likes: Any) -> None:
    assert 1 in Counter(Counter(likes["user"].to_pylist()).values())


def test_likes_of_a_user_lie_nearer_together_than_wines_do(wines: Wines, likes: Any) -> None:
    unit = wines.X / np.linalg.norm(wines.X, axis=1, keepdims=True)
    row_of = {item: row for row, item in enumerate(wines.ids)}
    rows = np.array([row_of[item] for item in likes["item"].to_pylist()])
    users = np.array(likes["user"].to_pylist())
    same = users[1:] == users[:-1]
    near = (unit[rows[1:]] * unit[rows[:-1]]).sum(axis=1)[same].mean()
    anywhere = (unit[rows] * unit[np.random.default_rng(0).permutation(rows)]).sum(axis=1).mean()
    assert near > anywhere + 0.02


def test_a_few_wines_are_liked_by_many(likes: Any) -> None:
    counts = sorted(Counter(likes["item"].to_pylist()).values(), reverse=True)
    assert sum(counts[:200]) > 0.25 * sum(counts)


def test_too_few_wines_are_refused() -> None:
    with pytest.raises(ParameterRefused, match="Expected 80 wines or more, got 79"):
        make_interactions(make_wines(79))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [({"n_users": 0}, "parameter-range"), ({"n_users": 2.5}, "parameter-type"),
     ({"seed": -1}, "parameter-range"), ({"seed": True}, "parameter-type")],
)  # fmt: skip
def test_numbers_out_of_their_bounds_are_refused(
    wines: Wines, arguments: dict[str, Any], code: str
) -> None:
    with pytest.raises(ParameterRefused) as caught:
        make_interactions(wines, **arguments)
    assert code == caught.value.code
