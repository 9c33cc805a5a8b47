"""Parameters in the header X-Amzn-SageMaker-Custom-Attributes: ``k=20;exclude_self=true``.

The header is shared ground: SageMaker forwards it verbatim, and people put trace ids and settings
of other software into it. So a part that is not ours is left alone: one without ``=``, and one
whose name does not look like any of ours. What looks like a misspelling of ours is refused, since
leaving it alone would change the answer without a word, and so is an unknown name after our own
prefix ``kneighbors.``, which nobody else has a reason to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from kneighbors.errors import ParameterRefused
from kneighbors.formats.limits import Limits
from kneighbors.formats.parameters import ALIASES, NAMES, read_parameters
from kneighbors.formats.strictjson import parse
from kneighbors.formats.text import did_you_mean, nearest, shown

#: What SageMaker lets through; held to everywhere, so that what works here works there.
MAX_LENGTH = 1_024
PREFIX = "kneighbors."
_PLACE = "X-Amzn-SageMaker-Custom-Attributes"

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_FLAGS = {"true": True, "True": True, "false": False, "False": False}
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def read_attributes(header: str | None, limits: Limits) -> dict[str, Any]:
    """Return the parameters that the header holds, checked, by their canonical names.

    Parameters
    ----------
    header : str, optional
        None and the empty string hold none.
    limits : Limits

    Raises
    ------
    ParameterRefused
        With code ``attributes-malformed``, ``attributes-too-long``, and as
        `kneighbors.formats.parameters.read_parameters` does.

    Examples
    --------
    >>> read_attributes("k=20;exclude_self=true;trace-id=1-67891233-abcdef", Limits())
    {'n_neighbors': 20, 'exclude_self': True}
    >>> read_attributes("c000b4f9-df62-4c85-a0bf-7c525f9104a4", Limits())
    {}
    >>> read_attributes("exclude_ids=a,b%2Cc", Limits())["exclude_ids"]
    ('a', 'b,c')
    """
    if not header:
        return {}
    if len(header) > MAX_LENGTH:
        raise ParameterRefused(
            "attributes-too-long",
            f"Expected at most {MAX_LENGTH} characters in {_PLACE}, got {len(header)}.",
            hint="Send the parameters in a JSON body.",
        )
    if not (header.isascii() and header.isprintable()):
        raise ParameterRefused(
            "attributes-malformed", f"Expected visible ASCII characters in {_PLACE}."
        )
    values: dict[str, Any] = {}
    as_text = set()
    for part in header.split(";"):
        written, equals, text = part.partition("=")
        name = _own_name(written.strip()) if equals else None
        if name is None:
            continue
        if name in values:
            raise ParameterRefused(
                "attributes-malformed", f"Expected {name} once in {_PLACE}, got it twice."
            )
        text = text.strip()
        values[name] = _READERS[ALIASES.get(name, name)](name, text)
        if name in _IDS and not text.startswith("["):
            as_text.add(name)
    given = read_parameters(values.items(), _PLACE, limits)
    if as_text:
        given["ids_are_text"] = frozenset(as_text)
    return given


def foreign_attributes(header: str) -> str:
    """Return the parts of a header that has been read which are no parameters of ours.

    Examples
    --------
    >>> foreign_attributes("k=20; trace-id=1-67891233;exclude_self=true")
    'trace-id=1-67891233'
    """
    parts = (part.strip() for part in header.split(";"))
    return ";".join(part for part in parts if part and not _is_ours(part))


def _is_ours(part: str) -> bool:
    name, equals, _ = part.partition("=")
    return bool(equals) and name.strip().removeprefix(PREFIX) in NAMES


def _own_name(written: str) -> str | None:
    name = written.removeprefix(PREFIX)
    if name in NAMES:
        return name
    if written.startswith(PREFIX) or nearest(name, NAMES) is not None:
        raise ParameterRefused(
            "parameter-unknown",
            f"Expected a known parameter in {_PLACE}, got {shown(written)}.",
            hint=did_you_mean(name, NAMES),
        )
    return None


def _integer(name: str, text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise _wrong_type(name, "an integer such as 10", text)
    return int(text)


def _number(name: str, text: str) -> float:
    if _NUMBER.fullmatch(text) is None:
        raise _wrong_type(name, "a number such as 0.5", text)
    return float(text)


def _flag(name: str, text: str) -> bool:
    if text not in _FLAGS:
        raise _wrong_type(name, "true or false", text)
    return _FLAGS[text]


def _list(name: str, text: str) -> Any:
    if text.startswith("["):
        return parse(text, place=f"{_PLACE}, {name}, ")
    return [_unquote(name, one) for one in text.split(",")] if text else []


def _flag_or_list(name: str, text: str) -> Any:
    return _FLAGS[text] if text in _FLAGS else _list(name, text)


def _words(name: str, text: str) -> Any:
    return _list(name, text) or text


def _word(name: str, text: str) -> str:
    return _unquote(name, text)


def _object(name: str, text: str) -> Any:
    return parse(text, place=f"{_PLACE}, {name}, ")


_IDS = frozenset({"exclude_ids", "include_ids"})
_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "n_neighbors": _integer,
    "radius": _number,
    "exclude_self": _flag,
    "exclude_ids": _list,
    "include_items": _flag_or_list,
    "min_distance": _number,
    "include_ids": _list,
    "exclude_list": _words,
    "include_list": _words,
    "filter": _object,
    "diversity": _number,
    "group_by": _word,
    "max_per_group": _integer,
    "fold_within": _number,
    "strategy": _word,
    "unknown_terms": _word,
    "explain": _flag,
    "allow_partial": _flag,
}
#: Whose refusals have a code of their own, from before there were others.
_OWN_CODES = frozenset({"n_neighbors", "radius", "exclude_self", "exclude_ids", "include_items"})


def _unquote(name: str, text: str) -> str:
    text = text.strip()
    if text and _BAD_ESCAPE.search(text) is None:
        try:
            return unquote_to_bytes(text).decode("utf-8")
        except UnicodeDecodeError:
            pass
    raise ParameterRefused(
        "attributes-malformed",
        f"Expected names divided by commas in {name}, other characters percent-encoded, got "
        f"{shown(text)}.",
        where=_PLACE,
    )


def _wrong_type(name: str, expected: str, text: str) -> ParameterRefused:
    known = ALIASES.get(name, name)
    code = f"{known.replace('_', '-')}-type" if known in _OWN_CODES else "parameter-type"
    return ParameterRefused(
        code,
        f"Expected {name} to be {expected}, got {shown(text)}.",
        where=_PLACE,
    )
