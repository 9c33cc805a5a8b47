"""Which machine a copy of a shard belongs on; no more than arithmetic.

Copies of one shard belong on different machines, as far as there are enough, and machines have as
many copies as one another, as nearly as one copy. A move that makes neither better is none, so
moves come to an end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: Of each shard, the machines that its copies are on.
Placement = Sequence[Sequence[str]]
#: Moving a copy makes the loads of two machines more alike if they differ by so much.
_LEAST_GAIN = 2


class Move(NamedTuple):
    """A copy of a shard, by their numbers, and the machine that it had better be on."""

    shard: int
    copy: int
    to: str


def next_move(placement: Placement, nodes: Sequence[str]) -> Move | None:
    """Return the move that helps most, None where none does.

    Parameters
    ----------
    placement : sequence of sequences of str
    nodes : sequence of str
        The machines that are up. A copy on another one is nobody's to be moved: it is lost.

    Examples
    --------
    >>> next_move([["a", "a"], ["a", "a"]], ["a", "b"])
    Move(shard=0, copy=0, to='b')
    >>> next_move([["a", "b"]], ["a", "b", "c"])
    """
    loads = _loads(placement, nodes)
    return max(
        _helpful(placement, loads),
        key=lambda move: (*_worth(placement, loads, move), -move.shard, -move.copy),
        default=None,
    )


def best_node(placement: Placement, shard: int, nodes: Sequence[str]) -> str:
    """Return the machine for one more copy of a shard: one that has none, with least to hold.

    Examples
    --------
    >>> best_node([["a"], ["b"]], 0, ["a", "b"])
    'b'
    """
    loads = _loads(placement, nodes)
    return min(nodes, key=lambda node: (node in placement[shard], loads[node], node))


def _loads(placement: Placement, nodes: Sequence[str]) -> Counter[str]:
    loads = Counter(dict.fromkeys(nodes, 0))
    loads.update(node for homes in placement for node in homes if node in loads)
    return loads


def _helpful(placement: Placement, loads: Counter[str]) -> Iterator[Move]:
    for shard, homes in enumerate(placement):
        for copy, home in enumerate(homes):
            if home not in loads:
                continue
            free = [node for node in loads if node not in homes]
            for node in free:
                move = Move(shard, copy, node)
                is_doubled, gain = _worth(placement, loads, move)
                if is_doubled or gain >= _LEAST_GAIN:
                    yield move


def _worth(placement: Placement, loads: Counter[str], move: Move) -> tuple[bool, int]:
    """Return whether two copies of a shard part company, and by how much loads differ."""
    home = placement[move.shard][move.copy]
    return placement[move.shard].count(home) > 1, loads[home] - loads[move.to]
