"""Why a filter lets nothing through: its conditions say, or else counts do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

from kneighbors.items.conditions import AllOf, AnyOf, Condition, Node, Not
from kneighbors.items.predicates import Between, Contains, Missing, OneOf

_MOST_NAMED = 4


def reason_of(node: Node, count: Callable[[Node], int]) -> str:
    """Return why a filter that matches nothing does so.

    Parameters
    ----------
    node : Node
        The filter.
    count : callable
        Returns how many rows a node lets through.
    """
    if isinstance(node, Condition):
        return _alone(node) or f"No item matches: {node.words}."
    if isinstance(node, Not):
        return "No item matches: every one is excluded by what stands under not."
    if isinstance(node, AnyOf):
        if not node.nodes:
            return "Nothing can match: there is nothing under or."
        return "No item matches any of what stands under or."
    return _of_all(node, count)


def _of_all(node: AllOf, count: Callable[[Node], int]) -> str:
    conditions = list(_conditions(node))
    for condition in conditions:
        alone = _alone(condition)
        if alone:
            return alone
    for one, other in combinations(conditions, 2):
        if _exclude_each_other(one, other) or _exclude_each_other(other, one):
            return f"Nothing can match: {one.words}, and {other.words}."
    parts = list(_parts(node))
    counts = [count(part) for part in parts]
    for part, matching in zip(parts, counts, strict=True):
        if not matching:
            return reason_of(part, count)
    named = [
        f"{part.words} ({matching:,})"
        for part, matching in zip(parts, counts, strict=True)
        if isinstance(part, Condition)
    ]
    shown = "; ".join(named[:_MOST_NAMED])
    return "No item matches all conditions, each of which some match" + (
        f": {shown}." if shown else "."
    )


def _parts(node: AllOf) -> Iterator[Node]:
    """Yield what must hold together, nested lists of it taken apart."""
    for inner in node.nodes:
        if isinstance(inner, AllOf):
            yield from _parts(inner)
        else:
            yield inner


def _conditions(node: AllOf) -> Iterator[Condition]:
    return (part for part in _parts(node) if isinstance(part, Condition))


def _alone(condition: Condition) -> str | None:
    """Return why a condition can match nothing, whatever the items are."""
    predicate = condition.predicate
    if condition.negated:
        return None
    if isinstance(predicate, Between) and predicate.is_empty:
        return f"Nothing can match: {condition.words}, of which the first is above the second."
    if isinstance(predicate, (OneOf, Contains)) and not predicate.values:
        return f"Nothing can match: {predicate.column} is compared with an empty list."
    return None


def _exclude_each_other(one: Condition, other: Condition) -> bool:
    """Tell whether no value can meet both conditions; tried in both orders."""
    first, second = one.predicate, other.predicate
    if first.column != second.column:
        return False
    if isinstance(first, Missing) and not one.negated:
        # Every other condition wants the value to be there.
        return other.negated or not isinstance(second, Missing)
    if one.negated:
        return False
    if isinstance(first, Between) and isinstance(second, Between) and not other.negated:
        return _apart(first, second) or _apart(second, first)
    if isinstance(first, OneOf):
        if isinstance(second, Between):
            return not any(second.holds(value) != other.negated for value in first.values)
        if isinstance(second, OneOf):
            shared = first.values & second.values
            return first.values == shared if other.negated else not shared
    if isinstance(first, Contains) and isinstance(second, Contains):
        return other.negated and first.values <= second.values
    return False


def _apart(lower: Between, upper: Between) -> bool:
    """Tell whether one range ends before the other begins."""
    between = Between(lower.column, upper.low, lower.high, upper.low_open, lower.high_open)
    return between.is_empty
