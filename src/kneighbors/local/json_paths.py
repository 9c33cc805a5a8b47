"""The part of JSONPath that batch transform's filters know.

``$``, ``.name``, ``['name', ...]``, ``*``, ``[number, ...]`` and ``[start:end]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from kneighbors.local.faults import invalid

#: From a value to those that a step leads to.
Step = Callable[[Any], Iterator[Any]]

_NAME = re.compile(r"\.([^.\[\]'\"*\s]+)")
_NAMES = re.compile(r"\[\s*((?:'[^']*'|\"[^\"]*\")(?:\s*,\s*(?:'[^']*'|\"[^\"]*\"))*)\s*\]")
_NUMBERS = re.compile(r"\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\]")
_SLICE = re.compile(r"\[\s*(-?\d*)\s*:\s*(-?\d*)\s*\]")
_ALL = re.compile(r"\.\*|\[\s*\*\s*\]")


class NothingThere(LookupError):
    """A path that leads to nothing in a record."""


class JsonPath:
    """A path, ready to be followed.

    Parameters
    ----------
    text : str

    Raises
    ------
    Fault
        ``ValidationException`` where it is none that filters know.

    Examples
    --------
    >>> JsonPath("$[1:]").of(["wine-7", 0.5, 0.25])
    [0.5, 0.25]
    >>> JsonPath("$.features").of({"id": 7, "features": [0.5]})
    [0.5]
    >>> JsonPath("$['id', 'label']").of({"id": 7, "label": "oak", "x": 1})
    [7, 'oak']
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps, self._is_many = _parsed(text)

    def of(self, record: Any) -> Any:
        """Return what the path leads to: one value, or a list where it names several.

        Raises
        ------
        NothingThere
        """
        found = [record]
        for step in self._steps:
            found = [value for one in found for value in step(one)]
        if self._is_many:
            return found
        if not found:
            raise NothingThere(f"The path {self.text} leads to nothing in the record.")
        return found[0]


def _parsed(text: str) -> tuple[list[Step], bool]:
    steps: list[Step] = []
    is_many, place = False, 1
    if not text.startswith("$"):
        raise _no_path(text)
    while place < len(text):
        found = _step(text, place)
        if found is None:
            raise _no_path(text)
        step, names_several, place = found
        steps.append(step)
        is_many = is_many or names_several
    return steps, is_many


def _step(text: str, place: int) -> tuple[Step, bool, int] | None:
    """Return a step, whether it may lead to several values, and where the next one begins."""
    if found := _ALL.match(text, place):
        return _every, True, found.end()
    if found := _NAME.match(text, place):
        return _members([found[1]]), False, found.end()
    if found := _NAMES.match(text, place):
        names = [one.strip()[1:-1] for one in re.findall(r"'[^']*'|\"[^\"]*\"", found[1])]
        return _members(names), len(names) > 1, found.end()
    if found := _NUMBERS.match(text, place):
        numbers = [int(one) for one in found[1].split(",")]
        return _elements(numbers), len(numbers) > 1, found.end()
    if found := _SLICE.match(text, place):
        start, stop = (int(one) if one else None for one in found.groups())
        return _part(slice(start, stop)), True, found.end()
    return None


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _members(names: list[str]) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from (value[name] for name in names if name in value)

    return step


def _elements(numbers: list[int]) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            length = len(value)
            yield from (value[one] for one in numbers if -length <= one < length)

    return step


def _part(part: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[part]

    return step


def _no_path(text: str) -> Exception:
    return invalid(
        f"The filter {text!r} is none that batch transform knows: $, then .name, ['name', ...], *, "
        "[number, ...] or [start:end], as often as needed."
    )
