"""JSON in one form only, with a digest over itself.

Two people who write the same fields write the same bytes, and a reader that finds other bytes
refuses them. The digest stands on a line of its own and is taken over the whole text with its own
digits replaced by zeros, so that a second reader needs no JSON to check it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from kneighbors.errors import ArtifactError

#: Keys of the top level are indented by two blanks, and a line break within a string is escaped:
#: so no value can imitate this line.
_DIGEST_LINE = re.compile(rb'^  "digest": "([0-9a-f]{64})",?$', re.MULTILINE)
_ZEROS = "0" * 64


def to_bytes(fields: Mapping[str, Any]) -> bytes:
    r"""Return fields as canonical JSON with a right ``digest``.

    Keys are sorted by code point, two blanks indent, ``": "`` and ``","`` separate, other than
    ASCII is escaped, numbers are Python's shortest, one line break ends the text.

    Raises
    ------
    TypeError, ValueError
        When a value has no form in JSON, NaN among them.

    Examples
    --------
    >>> print(to_bytes({"b": [1], "a": "ü"}).decode(), end="")
    {
      "a": "\u00fc",
      "b": [
        1
      ],
      "digest": "e5c5b3261a60cc849b359976b018564d2479280aca0b7136d191127028a1ca13"
    }
    """
    # Keys that are numbers become texts before they are sorted, not after.
    fields = json.loads(json.dumps(fields, allow_nan=False))
    zeroed = _dumped({**fields, "digest": _ZEROS})
    return _dumped({**fields, "digest": sha256(zeroed).hexdigest()})


def has_right_digest(data: bytes) -> bool | None:
    """Tell whether a text agrees with its digest; None where it has no digest line, or several."""
    lines = list(_DIGEST_LINE.finditer(data))
    if len(lines) != 1:
        return None
    begin, end = lines[0].span(1)
    zeroed = data[:begin] + _ZEROS.encode() + data[end:]
    return sha256(zeroed).hexdigest().encode() == lines[0][1]


def from_bytes(data: bytes, where: str) -> dict[str, Any]:
    """Return the fields of a text, if it is canonical JSON.

    The digest is not looked at: see `has_right_digest`.

    Raises
    ------
    ArtifactError
        ``artifact-invalid``.
    """
    try:
        fields = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        canonical = isinstance(fields, dict) and _dumped(fields) == data
    except (ValueError, RecursionError) as error:
        raise _invalid(
            f"Expected JSON, got text that is none ({_reason(error)}).", where
        ) from error
    if not isinstance(fields, dict):
        raise _invalid(f"Expected a JSON object, got {type(fields).__name__}.", where)
    if not canonical:
        raise _invalid("Expected JSON in its canonical form, got another spelling.", where)
    return fields


def _dumped(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, indent=2, allow_nan=False).encode() + b"\n"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key occurs twice")
    return fields


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _reason(error: Exception) -> str:
    return "too deeply nested" if isinstance(error, RecursionError) else str(error)[:100]


def _invalid(message: str, where: str) -> ArtifactError:
    return ArtifactError("artifact-invalid", message, where=where)
