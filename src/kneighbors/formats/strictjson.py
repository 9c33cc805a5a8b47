"""JSON as RFC 8259 has it, and nothing of what Python's parser adds or overlooks.

Python's scanner does the work, since it is the fastest at hand. What it would let through
(``NaN``, doubled names, integers of any length) becomes an `Oddity` in the parsed value, which no
reader of values accepts, so that the refusal can name the path at which it stands.
"""

from __future__ import annotations

import json
import re
from typing import Any, Never

from kneighbors.errors import BodyRefused

# 1.8e308, the largest float64, has 309 digits; converting more of them takes quadratic time.
_MAX_DIGITS = 310
_MAX_DEPTH = 32
_BRACKET_OR_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


class Oddity:
    """Something that JSON text can hold and that is never a value.

    Parameters
    ----------
    code : str
        Code of the refusal.
    message : str
        What was expected and what came.
    """

    __slots__ = ("code", "message")

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message

    def refuse(self, where: str) -> Never:
        """Raise the refusal, naming the place."""
        raise BodyRefused(self.code, self.message, where=where)


#: Made once: a body may be full of them.
_CONSTANTS = {
    text: Oddity("body-number", f"Expected a finite number, got {text}.")
    for text in ("NaN", "Infinity", "-Infinity")
}


def _integer(text: str) -> int | Oddity:
    if len(text) > _MAX_DIGITS:
        return Oddity(
            "body-number",
            f"Expected a number that a float64 holds, got an integer of {len(text)} characters.",
        )
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Oddity:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    return Oddity("body-name-doubled", f"Expected each name once, got {name[:60]!r} twice.")


_DECODER = json.JSONDecoder(
    parse_constant=_CONSTANTS.__getitem__, parse_int=_integer, object_pairs_hook=_object
)


def parse(text: str, *, place: str = "") -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    text : str
    place : str, default=""
        Put before the byte offset in a refusal, such as ``"line 3, "``.

    Returns
    -------
    object
        Of dict, list, str, int, float, bool, None and `Oddity`. Floats may be infinite.

    Raises
    ------
    BodyRefused
        With code ``body-json`` (no JSON) or ``body-nesting`` (too deep to be parsed).

    Notes
    -----
    Takes memory of at most 25 times the text, which a list of empty objects needs.

    Examples
    --------
    >>> parse('{"k": 3}')
    {'k': 3}
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _refuse_depth(text[: error.pos], place)
        rule = error.msg.removesuffix(" at").removesuffix(" starting")
        raise BodyRefused(
            "body-json",
            f"Expected JSON, got a text that breaks its rules: {rule}.",
            where=f"{place}byte {_byte_offset(text, error.pos)}",
        ) from error
    except RecursionError:
        # How deep is too deep for the scanner depends on Python's version.
        _refuse_depth(text, place)
    raise BodyRefused(
        "body-nesting", "Expected JSON, got a nesting too deep to be read.", where=f"{place}byte 0"
    )


def _byte_offset(text: str, position: int) -> int:
    return len(text[:position].encode("utf-8", "surrogatepass"))


def _refuse_depth(text: str, place: str) -> None:
    depth = 0
    for match in _BRACKET_OR_STRING.finditer(text):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
        if depth > _MAX_DEPTH:
            raise BodyRefused(
                "body-nesting",
                "Expected lists of at most two levels, got a nesting too deep to be read.",
                where=f"{place}byte {_byte_offset(text, match.start())}",
            )
