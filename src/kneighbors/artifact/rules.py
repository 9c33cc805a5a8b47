"""The rules that the fields of a manifest keep, as tables.

`check_fields` looks at each field on its own, `check_layout` at what the parts must be so that they
fit each other. Whatever passes may still disagree with the files: the reader compares.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.artifact.names import PART_FILE, PART_NAME
from kneighbors.artifact.npy import DTYPES, MAX_HEADER_BYTES
from kneighbors.errors import ArtifactError
from kneighbors.search.metrics import METRICS

if TYPE_CHECKING:
    from kneighbors.artifact.manifest import Part

#: A file length or a count: all arithmetic with them stays within 64 bits.
MAX_COUNT = 1 << 48

MAX_PARTS = 64
VECTOR_DTYPES = {"float32": "<f4", "float64": "<f8"}
_FLOATS = frozenset({"<f2", "<f4", "<f8"})
BLOCK_BYTES_RANGE = (1 << 12, 1 << 24)

#: Roles of which the format names every part; an index has what parts it likes, and parts of a role
#: that is not known are ignored.
_CLOSED_ROLES = frozenset({"vectors", "checksums", "ids", "items", "lookup", "vocabulary", "lists"})

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CREATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

_Rule = tuple[str, Callable[[Any], bool]]


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MAX_COUNT


def _is_one_of(*known: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in known


def _is_like(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_block_length(value: Any) -> bool:
    smallest, largest = BLOCK_BYTES_RANGE
    return type(value) is int and smallest <= value <= largest and value & (value - 1) == 0


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= 2
        and all(type(length) is int and 0 <= length <= MAX_COUNT for length in value)
        and math.prod(value) <= MAX_COUNT
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_FIELDS: dict[str, _Rule] = {
    "block_bytes": ("a power of two from 4,096 to 16,777,216", _is_block_length),
    "created": ("a time such as 2026-01-02T03:04:05Z", _is_like(_CREATED)),
    "dtype": ("'float32' or 'float64'", _is_one_of(*VECTOR_DTYPES)),
    "id_type": ("'row', 'integer' or 'string'", _is_one_of("row", "integer", "string")),
    "metric": (f"one of {', '.join(METRICS)}", _is_one_of(*METRICS)),
    "n_features": ("a whole number of at least 1", _is_count),
    "n_samples": ("a whole number of at least 1", _is_count),
    "parts": ("an object of 1 to 64 parts", lambda v: _is_object(v) and 1 <= len(v) <= MAX_PARTS),
    "plan": ("an object", _is_object),
    "requires": ("a list", lambda value: isinstance(value, list)),
    "source": ("an object", _is_object),
    "writer": ("an object of texts", _is_texts),
}

_PART_FIELDS: dict[str, _Rule] = {
    "bytes": ("a whole number of at least 1", _is_count),
    "dtype": ("the code of a dtype", _is_one_of("arrow", *DTYPES)),
    "file": ("a name such as head.npy", _is_like(PART_FILE)),
    "role": ("a word", _is_like(PART_NAME)),
    "sha256": ("64 hexadecimal digits", _is_like(_SHA256)),
    "shape": ("one or two lengths", _is_shape),
}


def check_fields(fields: Mapping[str, Any], where: str) -> None:
    """Refuse fields that are missing or of another kind than the format says."""
    _check(fields, _FIELDS, where, "")
    for name, values in fields["parts"].items():
        if not PART_NAME.fullmatch(name):
            raise _invalid(f"Expected the name of a part, got {name!r:.80}.", where)
        if not isinstance(values, dict):
            raise _invalid("Expected an object.", f"{where}, parts.{name}")
        _check(values, _PART_FIELDS, where, f"parts.{name}.")


def _check(fields: Mapping[str, Any], rules: Mapping[str, _Rule], where: str, path: str) -> None:
    for key, (expected, holds) in rules.items():
        if key not in fields:
            raise _invalid(f"Expected {expected}, got nothing.", f"{where}, {path}{key}")
        if not holds(fields[key]):
            raise _invalid(
                f"Expected {expected}, got {fields[key]!r:.80}.", f"{where}, {path}{key}"
            )


def check_layout(fields: Mapping[str, Any], parts: Mapping[str, Part], where: str) -> None:
    """Refuse parts that contradict the fields, each other, or their own lengths."""
    files = [part.file.lower() for part in parts.values()]
    if len(set(files)) != len(files):
        raise _invalid("Expected a file of its own for each part, got one file twice.", where)
    for part in parts.values():
        _check_length(part, where)
    expected = _expected_parts(fields, parts)
    for name, (role, dtype, shape) in expected.items():
        if name not in parts:
            raise _invalid(f"Expected a part {name!r}, got none.", f"{where}, parts")
        part = parts[name]
        if (part.role, part.dtype, part.shape) != (role, dtype, shape):
            raise _invalid(
                f"Expected {role} of {dtype} and shape {list(shape)}, "
                f"got {part.role} of {part.dtype} and shape {list(part.shape)}.",
                f"{where}, parts.{name}",
            )
    for name, part in parts.items():
        if name not in expected and part.role in _CLOSED_ROLES:
            raise _invalid(
                f"Expected no other part of role {part.role!r}, got {name!r}.", f"{where}, parts"
            )


def _check_length(part: Part, where: str) -> None:
    is_arrow = part.dtype == "arrow"
    if is_arrow != part.file.endswith(".arrow"):
        raise _invalid(f"Expected the file of {part.dtype}, got {part.file!r}.", where)
    if is_arrow:
        return
    header = part.bytes - math.prod(part.shape) * np.dtype(part.dtype).itemsize
    if not 64 <= header <= MAX_HEADER_BYTES or header % 64:
        raise _invalid(
            f"Expected a length that agrees with {part.dtype} of shape {list(part.shape)}, "
            f"got {part.bytes}.",
            f"{where}, parts.{part.name}.bytes",
        )


_Expected = dict[str, tuple[str, str, tuple[int, ...]]]


def _expected_parts(fields: Mapping[str, Any], parts: Mapping[str, Part]) -> _Expected:
    """Return role, dtype and shape of each part that the fields decide."""
    n_samples = fields["n_samples"]
    dtype = VECTOR_DTYPES[fields["dtype"]]
    vectors = parts.get("vectors")
    n_blocks = -(-vectors.bytes // fields["block_bytes"]) if vectors else 0
    expected: _Expected = {
        "vectors": ("vectors", dtype, (n_samples, fields["n_features"])),
        "vectors-blocks": ("checksums", "|u1", (n_blocks, 32)),
    }
    if fields["id_type"] == "integer":
        expected["ids"] = ("ids", "<i8", (n_samples,))
    if fields["id_type"] == "string":
        expected["ids-text"] = ("ids", "|u1", _length_of(parts, "ids-text"))
        expected["ids-offsets"] = ("ids", "<i8", (n_samples + 1,))
        expected["ids-hashes"] = ("ids", "<u8", (n_samples,))
    if fields["id_type"] != "row":
        expected["ids-order"] = ("ids", "<i8", (n_samples,))
    if "items" in parts:
        columns = parts["items"].shape[-1]
        expected["items"] = ("items", "arrow", (n_samples, columns))
    if "ids-slots" in parts and fields["id_type"] != "row":
        slots = parts["ids-slots"]
        dtype = slots.dtype if slots.dtype in ("<i4", "<i8") else "<i4"
        expected["ids-slots"] = ("lookup", dtype, _length_of(parts, "ids-slots"))
    return {**expected, **_vocabulary(fields, parts), **_lists(parts)}


def _vocabulary(fields: Mapping[str, Any], parts: Mapping[str, Part]) -> _Expected:
    if not any(part.role == "vocabulary" for part in parts.values()):
        return {}
    vectors, synonyms = parts.get("vocabulary-vectors"), parts.get("vocabulary-synonyms")
    n_terms = vectors.shape[0] if vectors else 0
    n_synonyms = synonyms.shape[0] if synonyms else 0
    dtype = vectors.dtype if vectors and vectors.dtype in _FLOATS else "<f4"
    return {
        "vocabulary-text": ("vocabulary", "|u1", _length_of(parts, "vocabulary-text")),
        "vocabulary-offsets": ("vocabulary", "<i8", (n_terms + n_synonyms + 1,)),
        "vocabulary-vectors": ("vocabulary", dtype, (n_terms, fields["n_features"])),
        "vocabulary-weights": ("vocabulary", "<f8", (n_terms,)),
        "vocabulary-synonyms": ("vocabulary", "<i8", (n_synonyms,)),
    }


def _lists(parts: Mapping[str, Part]) -> _Expected:
    if not any(part.role == "lists" for part in parts.values()):
        return {}
    ends = _length_of(parts, "lists-ends")
    return {
        "lists-text": ("lists", "|u1", _length_of(parts, "lists-text")),
        "lists-offsets": ("lists", "<i8", ends),
        "lists-ends": ("lists", "<i8", ends),
        "lists-rows": ("lists", "<i8", _length_of(parts, "lists-rows")),
    }


def _length_of(parts: Mapping[str, Part], name: str) -> tuple[int, ...]:
    """Return the length of a part that nothing else decides."""
    return parts[name].shape[:1] if name in parts else (0,)


def _invalid(message: str, where: str) -> ArtifactError:
    return ArtifactError("artifact-invalid", message, where=where)
