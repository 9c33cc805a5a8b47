"""What an option of a training run may be: text or JSON, checked and read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kneighbors.errors import ParameterRefused, StorageError
from kneighbors.storage.address import shown

_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,3})?")


def _wrong(name: str, expected: str, value: Any) -> ParameterRefused:
    return ParameterRefused(
        "parameter-type", f"Expected {expected} for {name}, got {_shown(value)}."
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def text_of(name: str, value: Any) -> str:
    """Return text, which a number or a path may stand for, or refuse the value."""
    if isinstance(value, bool) or not isinstance(value, str | int | Path) or str(value) == "":
        raise _wrong(name, "text", value)
    return str(value)


def path_of(name: str, value: Any) -> Path:
    """Return a path, or refuse the value; an address of S3 is no folder called ``s3:``."""
    text = text_of(name, value)
    if text.startswith("s3://"):
        raise StorageError(
            "storage-not-local",
            "Expected a path of this machine, got an address of S3.",
            where=f"{name}, {shown(text)}",
            hint="Write to a directory; kneighbors publish brings an artifact to S3, whole.",
        )
    return Path(text)


def integer_of(name: str, value: Any) -> int:
    """Return an integer, given as one or in decimal digits, or refuse the value."""
    if isinstance(value, str):
        # int() would take '1_000', ' 5 ' and digits of other scripts.
        if value.removeprefix("-").isdecimal() and value.isascii() and len(value) < 20:
            return int(value)
        raise _wrong(name, "an integer", value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, "an integer", value)
    return value


def number_of(name: str, value: Any) -> float:
    """Return a number, given as one or in digits, or refuse the value."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "a number", value)
    return float(value)


def count_of(name: str, value: Any) -> int:
    """Return an integer of at least 1, or refuse the value."""
    number = integer_of(name, value)
    if number < 1:
        raise ParameterRefused("n-neighbors-range", f"Expected {name} >= 1, got {number}.")
    return number


def seed_of(name: str, value: Any) -> int:
    """Return an integer of 32 bits without a sign, or refuse the value."""
    number = integer_of(name, value)
    if not 0 <= number < 2**32:
        raise ParameterRefused("seed-range", f"Expected 0 <= {name} < 2**32, got {number}.")
    return number


def flag_of(name: str, value: Any) -> bool:
    """Return true or false, given as one or as a word in any case, or refuse the value."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise _wrong(name, "true or false", value)


def names_of(name: str, value: Any) -> tuple[str, ...]:
    """Return names, given as a list or with commas between, or refuse the value."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise _wrong(name, "names of columns with commas between", value)
    return tuple(part.strip() for part in parts if part.strip())


def prefix_or_names_of(name: str, value: Any) -> str | tuple[str, ...]:
    """Return one text as it is, several names as `names_of` does, or refuse the value."""
    if isinstance(value, str) and value and "," not in value:
        return value
    return names_of(name, value)


def named_files_of(name: str, value: Any) -> tuple[tuple[str, str], ...]:
    """Read ``name=file`` once or more, as a list or with commas between."""
    pairs = names_of(name, value)
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, path = (part.strip() for part in pair.partition("="))
        if not (key and equals and path):
            raise _wrong(name, "NAME=FILE", pair)
        if found.setdefault(key, path) != path:
            raise _wrong(name, f"every list once, not {key!r} twice", pair)
    return tuple(found.items())
