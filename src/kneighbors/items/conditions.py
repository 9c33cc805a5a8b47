"""The conditions of a filter, as a tree."""

from __future__ import annotations

from dataclasses import dataclass

from kneighbors.items.predicates import Predicate


@dataclass(frozen=True)
class Condition:
    """What is asked of one attribute.

    Attributes
    ----------
    predicate : Predicate
    negated : bool
        Asked is that the value is there and the predicate is not true of it.
    words : str
        The condition as a reason has it: ``"price is below 10"``.
    """

    predicate: Predicate
    negated: bool
    words: str


@dataclass(frozen=True)
class AllOf:
    """All of these hold; of none, everything does."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class AnyOf:
    """One of these holds; of none, nothing does."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    """The node does not hold, for whatever reason."""

    node: Node


Node = Condition | AllOf | AnyOf | Not
