"""The filter language: a JSON object in, a tree of checked conditions out.

`docs/reference/filters.md` describes the language. What is read here is typed against the schema of
the attributes; nothing looks at their values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kneighbors.errors import ItemsRefused
from kneighbors.items.conditions import AllOf, AnyOf, Node, Not
from kneighbors.items.kinds import Kind
from kneighbors.items.operators import Attribute, Budget, operation, refused, too_large
from kneighbors.items.quoting import quoted
from kneighbors.items.tables import unknown_column

MAX_DEPTH = 16

#: A key that begins so is the name of an attribute, whatever else it might mean.
COLUMN = "column:"

_WORDS = ("and", "or", "not")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}", re.ASCII)


def read_filter(spec: Any, kinds: Mapping[str, tuple[Kind, str]], where: str) -> Node:
    """Return the conditions of a filter.

    Parameters
    ----------
    spec : object
        What a JSON reader returned.
    kinds : mapping of str to (Kind, str)
        Of each attribute what it is, and its type in the schema.
    where : str
        What the filter is called in refusals.

    Raises
    ------
    ParameterRefused
        ``filter-type``, ``filter-operator``, ``filter-value`` or ``filter-too-large``, with the
        path in the JSON.
    ItemsRefused
        ``items-column-unknown``.
    """
    return _Reader(kinds).read(spec, where, 1)


class _Reader:
    """Reads one filter."""

    def __init__(self, kinds: Mapping[str, tuple[Kind, str]]) -> None:
        self._kinds = kinds
        self._budget = Budget()

    def read(self, spec: Any, where: str, depth: int, hint: str | None = None) -> Node:
        if depth > MAX_DEPTH:
            raise too_large(f"filters nested at most {MAX_DEPTH} deep, got deeper ones", where)
        if not isinstance(spec, dict):
            raise refused("filter-type", "an object of conditions", spec, where, hint)
        self._budget.take(where)
        nodes = tuple(self._entry(key, spec[key], where, depth) for key in spec)
        return nodes[0] if len(nodes) == 1 else AllOf(nodes)

    def _entry(self, key: Any, value: Any, where: str, depth: int) -> Node:
        if not isinstance(key, str):
            raise refused("filter-type", "names of attributes", key, where)
        place = where + step(key)
        if key == "not":
            return Not(self.read(value, place, depth + 1, self._other_way(key)))
        if key not in _WORDS:
            return self._attribute(key.removeprefix(COLUMN), value, place)
        if not isinstance(value, list):
            raise refused("filter-type", "a list of filters", value, place, self._other_way(key))
        nodes = tuple(self.read(one, f"{place}[{at}]", depth + 1) for at, one in enumerate(value))
        return AllOf(nodes) if key == "and" else AnyOf(nodes)

    def _other_way(self, key: str) -> str | None:
        if key not in self._kinds:
            return None
        return f'The attribute of that name is written "{COLUMN}{key}".'

    def _attribute(self, name: str, value: Any, where: str) -> Node:
        if name not in self._kinds:
            error = unknown_column(name, list(self._kinds))
            raise ItemsRefused(error.code, error.message, where=where, hint=error.hint)
        attribute = Attribute(name, *self._kinds[name], self._budget)
        alone, listed = ("has", "any") if attribute.kind.name == "list" else ("eq", "in")
        if value is None:
            return operation(attribute, "null", True, where)
        if not isinstance(value, dict):
            return operation(attribute, listed if isinstance(value, list) else alone, value, where)
        if not value:
            raise refused("filter-type", "a value or an object of operators", value, where)
        for key in value:
            if not isinstance(key, str):
                raise refused("filter-type", "names of operators", key, where)
        nodes = tuple(operation(attribute, key, value[key], where + step(key)) for key in value)
        return nodes[0] if len(nodes) == 1 else AllOf(nodes)


def step(key: str) -> str:
    """Return how a path goes on to a member of an object.

    Examples
    --------
    >>> step("price"), step("alcohol %")
    ('.price', "['alcohol %']")
    """
    return f".{key}" if _IDENTIFIER.fullmatch(key) else f"[{quoted(key)}]"
