"""Values against botocore's shapes, with the words in which AWS says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

_NUMBERS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}


def faults_of(shape: Any, value: Any, path: str = "") -> list[str]:
    """Return what is wrong with a value, one sentence a fault.

    Parameters
    ----------
    shape : botocore.model.Shape or None
        None, of an operation without input, takes an empty value.
    value : object
        As JSON has it.
    path : str, default=""
        Where the value lies in the request.

    Examples
    --------
    >>> from kneighbors.local.operations import service
    >>> shape = service("sagemaker").operation_model("DeleteModel").input_shape
    >>> faults_of(shape, {"ModelName": "wines"})
    []
    >>> faults_of(shape, {})
    ["Value null at 'modelName' failed to satisfy constraint: Member must not be null"]
    """
    if shape is None:
        return [] if not value else ["Expected no members"]
    return list(_faults(shape, value, path))


def _faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure":
        yield from _structure(shape, value, path)
    elif kind == "list":
        yield from _list(shape, value, path)
    elif kind == "map":
        yield from _map(shape, value, path)
    elif kind == "string":
        yield from _string(shape, value, path)
    elif kind in _NUMBERS:
        yield from _number(shape, value, path)
    elif kind == "boolean" and not isinstance(value, bool):
        yield _wrong(value, path, "Member must be a boolean")
    elif kind == "timestamp" and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield _wrong(value, path, "Member must be a time in seconds since the epoch")


def _structure(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _wrong(value, path, "Member must be an object")
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield _wrong(None, _member(path, name), "Member must not be null")
    for name, one in value.items():
        member = shape.members.get(name)
        if member is not None and one is not None:  # AWS ignores what it does not know
            yield from _faults(member, one, _member(path, name))
    given = [name for name, one in value.items() if one is not None]
    if getattr(shape, "is_tagged_union", False) and len(given) != 1:
        yield _wrong(value, path, "Member must have exactly one of its members set")


def _list(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield _wrong(value, path, "Member must be a list")
        return
    yield from _length(shape, len(value), value, path)
    for place, one in enumerate(value, start=1):
        yield from _faults(shape.member, one, f"{path}.{place}.member")


def _map(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _wrong(value, path, "Member must be a map")
        return
    yield from _length(shape, len(value), value, path)
    for name, one in value.items():
        yield from _faults(shape.key, name, path)
        yield from _faults(shape.value, one, f"{path}.{name}.member")


def _string(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield _wrong(value, path, "Member must be a string")
        return
    yield from _length(shape, len(value), value, path)
    if shape.enum and value not in shape.enum:
        choices = ", ".join(shape.enum)
        yield _wrong(value, path, f"Member must satisfy enum value set: [{choices}]")
    pattern = shape.metadata.get("pattern")
    if pattern is not None and not _matches(pattern, value):
        rule = "Member must satisfy regular expression pattern: "
        yield _wrong(value, path, rule + pattern)


def _number(shape: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS[shape.type_name]):
        yield _wrong(value, path, "Member must be a number")
        return
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        rule = f"Member must have value greater than or equal to {least}"
        yield _wrong(value, path, rule)
    if most is not None and value > most:
        yield _wrong(value, path, f"Member must have value less than or equal to {most}")


def _length(shape: Any, length: int, value: Any, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and length < least:
        rule = f"Member must have length greater than or equal to {least}"
        yield _wrong(value, path, rule)
    if most is not None and length > most:
        yield _wrong(value, path, f"Member must have length less than or equal to {most}")


def _matches(pattern: str, value: str) -> bool:
    found = _compiled(pattern)
    return found is None or found.fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a pattern of Java's as Python reads it; None if it cannot."""
    for named, plain in (("\\p{L}", "^\\W\\d_"), ("\\p{Z}", "\\s"), ("\\p{N}", "\\d")):
        pattern = pattern.replace(f"[{named}]", f"[{plain}]")
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _member(path: str, name: str) -> str:
    own = name[:1].lower() + name[1:]
    return f"{path}.{own}" if path else own


def _wrong(value: Any, path: str, rule: str) -> str:
    shown = "null" if value is None else repr(value) if not isinstance(value, str) else f"'{value}'"
    if len(shown) > 200:
        shown = shown[:197] + "..."
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"
