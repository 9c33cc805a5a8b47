"""Copies belong on different machines, and machines have equally many; moves come to an end."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kneighbors.cluster.balance import best_node, next_move

NODES = ["a", "b", "c", "d"]


@given(
    placement=st.lists(
        st.lists(st.sampled_from([*NODES, "lost"]), min_size=1, max_size=5), min_size=1, max_size=8
    ),
    n_nodes=st.integers(1, 4),
)
def test_moves_end_with_copies_apart_and_loads_alike(
    placement: list[list[str]], n_nodes: int
) -> None:
    nodes = NODES[:n_nodes]
    lost = [[home for home in homes if home not in nodes] for homes in placement]
    n_copies = sum(map(len, placement))
    moves = 0
    while (move := next_move(placement, nodes)) is not None:
        assert placement[move.shard][move.copy] in nodes
        assert move.to not in placement[move.shard]
        placement[move.shard][move.copy] = move.to
        moves += 1
        assert moves <= 4 * n_copies
    for homes in placement:
        there = Counter(home for home in homes if home in nodes)
        # Doubled only where each machine has a copy already.
        assert max(there.values(), default=1) == 1 or len(there) == n_nodes
    loads = Counter(home for homes in placement for home in homes)
    for homes in placement:
        for home in set(homes) & set(nodes):
            assert all(loads[home] - loads[node] < 2 for node in nodes if node not in homes)
    assert lost == [[home for home in homes if home not in nodes] for homes in placement]


def test_a_node_that_joins_gets_its_share_and_no_more() -> None:
    placement = [["a", "b"], ["b", "a"], ["a", "b"]]
    moves = []
    while (move := next_move(placement, ["a", "b", "c"])) is not None:
        placement[move.shard][move.copy] = move.to
        moves.append(move.to)
    assert ["c", "c"] == moves
    assert {"a": 2, "b": 2, "c": 2} == Counter(home for homes in placement for home in homes)


def test_copies_that_were_together_for_want_of_machines_part_first() -> None:
    move = next_move([["a"], ["a", "a"], ["a"]], ["a", "b"])
    assert move is not None
    assert (1, "b") == (move.shard, move.to)


def test_one_copy_more_or_less_is_even_enough() -> None:
    assert next_move([["a"], ["a"], ["b"]], ["a", "b"]) is None
    assert next_move([["a"], ["a"]], ["a"]) is None


def test_what_was_lost_begins_anew_where_there_is_no_copy_and_least_to_do() -> None:
    assert "c" == best_node([["a", ""], ["b", "a"], ["b", "a"]], 0, ["a", "b", "c"])
    assert "b" == best_node([["a", ""], ["a"]], 0, ["a", "b"])
    assert "a" == best_node([["a", ""]], 0, ["a"])
