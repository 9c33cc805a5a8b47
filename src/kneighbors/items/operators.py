"""The operators of the filter language: what each asks of an attribute, and with what values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from kneighbors.errors import ParameterRefused
from kneighbors.items.conditions import AllOf, Condition, Node
from kneighbors.items.kinds import Kind, Operand
from kneighbors.items.predicates import Between, Contains, Missing, OneOf, Predicate, Prefix
from kneighbors.items.quoting import names_listed, quoted

MAX_CONDITIONS = 200
MAX_VALUES = 10_000


@dataclass
class Budget:
    """What may still be in a filter."""

    conditions: int = MAX_CONDITIONS
    values: int = MAX_VALUES

    def take(self, where: str, values: int = 0) -> None:
        """Count one more condition with its values; refuse it if it is one too many."""
        self.conditions -= 1
        self.values -= values
        if self.conditions < 0:
            raise too_large(f"at most {MAX_CONDITIONS} conditions, got more", where)
        if self.values < 0:
            raise too_large(f"at most {MAX_VALUES:,} values in all lists, got more", where)


@dataclass(frozen=True)
class Attribute:
    """An attribute that a filter speaks of.

    Attributes
    ----------
    name : str
    kind : Kind
    type : str
        Its type in the schema.
    budget : Budget
        Of the filter.
    """

    name: str
    kind: Kind
    type: str
    budget: Budget = field(repr=False)


@dataclass(frozen=True)
class Asked:
    """An operator with its value, asked of an attribute.

    Attributes
    ----------
    attribute : Attribute
    value : object
        What a JSON reader returned.
    where : str
        Its path.
    words : str
        The whole as a reason has it, such as ``"price is below 10"``.
    """

    attribute: Attribute
    value: Any
    where: str
    words: str

    @property
    def name(self) -> str:
        """Name of the attribute."""
        return self.attribute.name

    def condition(
        self, predicate: Predicate, *, negated: bool = False, words: str | None = None
    ) -> Condition:
        """Return a condition, counted."""
        values = predicate.values if isinstance(predicate, (OneOf, Contains)) else ()
        self.attribute.budget.take(self.where, len(values))
        return Condition(predicate, negated, words or self.words)

    def operand(self) -> Operand:
        """Return the value as an operand."""
        return self._read(self.value, self.where)

    def operands(self) -> list[Operand]:
        """Return the elements of the value, which must be a list, as operands."""
        if not isinstance(self.value, list):
            raise self.refuse("a list", self.value, self.where)
        # Counted before anything is read: reading ten million values would take seconds.
        if len(self.value) > MAX_VALUES:
            raise too_large(
                f"at most {MAX_VALUES:,} values in all lists, got {len(self.value):,}", self.where
            )
        return [self._read(one, f"{self.where}[{at}]") for at, one in enumerate(self.value)]

    def refuse(self, expected: str, value: Any, where: str) -> ParameterRefused:
        """Return the refusal of a value that is of no use here."""
        hint = f"The attribute {quoted(self.name)} is of type {self.attribute.type}."
        return refused("filter-value", expected, value, where, hint)

    def _read(self, value: Any, where: str) -> Operand:
        try:
            return self.attribute.kind.read(value)
        except (ValueError, OverflowError):
            raise self.refuse(self.attribute.kind.expected, value, where) from None


def operation(attribute: Attribute, operator: str, value: Any, where: str) -> Node:
    """Return what an operator with its value asks of an attribute.

    Raises
    ------
    ParameterRefused
        ``filter-operator``, ``filter-value`` or ``filter-too-large``.
    """
    known = (*attribute.kind.operators, "null")
    name = {"lte": "le", "gte": "ge"}.get(operator, operator)
    if name not in known:
        close = get_close_matches(operator[:64], known, n=1)
        mean = f"Did you mean {quoted(close[0])}? " if close else ""
        raise ParameterRefused(
            "filter-operator",
            f"Expected an operator for an attribute of type {attribute.type}, "
            f"got {quoted(operator)}.",
            where=where,
            hint=f"{mean}The operators are {names_listed(known)}.",
        )
    verb, build = _OPERATIONS[name]
    shown = names_listed(value[:4], 3) if isinstance(value, list) else quoted(value)
    words = f"{attribute.name} {verb} {shown}" if verb else attribute.name
    return build(Asked(attribute, value, where, words))


def _equal(asked: Asked, *, negated: bool = False) -> Node:
    if asked.value is None:
        return asked.condition(Missing(asked.name), negated=negated)
    return asked.condition(OneOf(asked.name, frozenset([asked.operand()])), negated=negated)


def _in(asked: Asked, *, negated: bool = False) -> Node:
    return asked.condition(OneOf(asked.name, frozenset(asked.operands())), negated=negated)


def _between(asked: Asked) -> Node:
    ends = asked.operands()
    if len(ends) != 2:
        raise asked.refuse("a list of two values", asked.value, asked.where)
    return asked.condition(Between(asked.name, ends[0], ends[1]))


def _prefix(asked: Asked) -> Node:
    return asked.condition(Prefix(asked.name, str(asked.operand())))


def _has(asked: Asked) -> Node:
    return asked.condition(Contains(asked.name, frozenset([str(asked.operand())])))


def _any(asked: Asked, *, negated: bool = False) -> Node:
    texts = frozenset(map(str, asked.operands()))
    return asked.condition(Contains(asked.name, texts), negated=negated)


def _all(asked: Asked) -> Node:
    # Each text has a bitmap of its own, which another filter may want as well.
    each = [
        asked.condition(
            Contains(asked.name, frozenset([text])), words=f"{asked.name} has {quoted(text)}"
        )
        for text in dict.fromkeys(map(str, asked.operands()))
    ]
    there = asked.condition(Missing(asked.name), negated=True, words=f"{asked.name} is there")
    return AllOf((there, *each))


def _null(asked: Asked) -> Node:
    if not isinstance(asked.value, bool):
        raise asked.refuse("true or false", asked.value, asked.where)
    words = f"{asked.name} is {'missing' if asked.value else 'there'}"
    return asked.condition(Missing(asked.name), negated=not asked.value, words=words)


#: Of each operator, how a reason calls it, and what it asks.
_OPERATIONS: dict[str, tuple[str, Callable[[Asked], Node]]] = {
    "eq": ("is", _equal),
    "ne": ("is not", lambda asked: _equal(asked, negated=True)),
    "in": ("is one of", _in),
    "not_in": ("is none of", lambda asked: _in(asked, negated=True)),
    "lt": (
        "is below",
        lambda asked: asked.condition(Between(asked.name, None, asked.operand(), high_open=True)),
    ),
    "le": ("is at most", lambda asked: asked.condition(Between(asked.name, None, asked.operand()))),
    "gt": (
        "is above",
        lambda asked: asked.condition(Between(asked.name, asked.operand(), low_open=True)),
    ),
    "ge": ("is at least", lambda asked: asked.condition(Between(asked.name, asked.operand()))),
    "between": ("is between", _between),
    "prefix": ("begins with", _prefix),
    "has": ("has", _has),
    "any": ("has any of", _any),
    "all": ("has all of", _all),
    "none": ("has none of", lambda asked: _any(asked, negated=True)),
    "null": ("", _null),
}


def too_large(expected: str, where: str) -> ParameterRefused:
    """Return the refusal of a filter that is larger than any that is meant."""
    return ParameterRefused("filter-too-large", f"Expected {expected}.", where=where)


def refused(
    code: str, expected: str, value: Any, where: str, hint: str | None = None
) -> ParameterRefused:
    """Return the refusal of something that is not what it must be there."""
    # What a strict JSON reader could not take as a value knows itself what is wrong with it.
    refuse = getattr(value, "refuse", None)
    if callable(refuse):
        refuse(where)
    shown = "a list" if isinstance(value, list) else "an object"
    shown = shown if isinstance(value, (list, dict)) else quoted(value)
    return ParameterRefused(code, f"Expected {expected}, got {shown}.", where=where, hint=hint)
