"""Media types as RFC 9110 writes them: Content-Type (8.3), Accept (12.5.1), parameters (5.6.6).

Only the grammar is here; which types are understood is `kneighbors.formats.registry`'s affair.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kneighbors.errors import BodyRefused
from kneighbors.formats.text import shown

#: Longer headers are refused unread; the longest honest one seen, a browser's, has 135 characters.
MAX_HEADER_LENGTH = 4_096

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TYPE = re.compile(rf"({_WORD})/({_WORD})")
_PARAMETER = re.compile(
    rf'[ \t]*;[ \t]*(?:({_WORD})=(?:({_WORD})|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\.)*)"))?'
)
_ESCAPED = re.compile(r"\\(.)")
# The grammar allows three decimals and wants a leading digit; `q=.2` is what old Java clients send.
_WEIGHT = re.compile(r"0?\.\d{1,9}|0\.?|1(?:\.0{0,9})?")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or a range of them, in lower case.

    Parameters
    ----------
    name : str
        Such as ``"application/json"``, ``"text/*"`` or ``"*/*"``.
    parameters : dict of str to str
        By their names in lower case, values as they came, without quotes.
    weight : float, default=1.0
        The ``q`` of a range in an Accept header, between 0 and 1.
    """

    name: str
    parameters: dict[str, str] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The format of an answer.

    Parameters
    ----------
    name : str
        Canonical media type, a key of `kneighbors.formats.registry.FORMATS`.
    content_type : str
        What the answer's Content-Type says: the name, or the alias that was asked for.
    parameters : dict of str to str
        Parameters of the media range that was accepted.
    """

    name: str
    content_type: str
    parameters: dict[str, str]


def parse_content_type(text: str) -> MediaType:
    """Return the media type that a Content-Type header names.

    Raises
    ------
    BodyRefused
        With code ``content-type-malformed``.

    Examples
    --------
    >>> parse_content_type('Text/CSV; Charset="utf-8"')
    MediaType(name='text/csv', parameters={'charset': 'utf-8'}, weight=1.0)
    """
    _check_length(text, "Content-Type", "content-type-malformed")
    media, stop = _read_media(text, _skip_blanks(text, 0), "Content-Type", "content-type-malformed")
    stop = _skip_blanks(text, stop)
    if stop != len(text):
        raise _malformed(text, stop, "Content-Type", "content-type-malformed")
    return media


def parse_accept(text: str) -> list[MediaType]:
    """Return the media ranges of an Accept header, in the order in which they came.

    Raises
    ------
    BodyRefused
        With code ``accept-malformed``.

    Examples
    --------
    >>> [(r.name, r.weight) for r in parse_accept("text/csv;q=0.5, application/*, */*;q=0.1")]
    [('text/csv', 0.5), ('application/*', 1.0), ('*/*', 0.1)]
    """
    _check_length(text, "Accept", "accept-malformed")
    ranges: list[MediaType] = []
    position = 0
    while True:
        position = _skip_blanks(text, position)
        if position == len(text):
            return ranges
        if text[position] == ",":  # a list may have empty elements (RFC 9110, 5.6.1.2)
            position += 1
            continue
        media, position = _read_media(text, position, "Accept", "accept-malformed")
        ranges.append(_weighted(media, text))
        position = _skip_blanks(text, position)
        if position < len(text) and text[position] != ",":
            raise _malformed(text, position, "Accept", "accept-malformed")


def _read_media(text: str, position: int, header: str, code: str) -> tuple[MediaType, int]:
    match = _TYPE.match(text, position)
    if match is not None:
        name = match[0].lower()
        stop = match.end()
    elif header == "Accept" and text.startswith("*", position):
        name, stop = "*/*", position + 1  # a lone asterisk, as old Java clients send
    else:
        raise _malformed(text, position, header, code)
    parameters: dict[str, str] = {}
    while (parameter := _PARAMETER.match(text, stop)) is not None:
        stop = parameter.end()
        key, word, quoted = parameter.groups()
        if key is None:  # an empty one: `text/csv;` and `text/csv;;header=absent` are allowed
            continue
        key = key.lower()
        if key in parameters:
            raise BodyRefused(code, f"Expected each parameter of {header} once, got {key!r} twice.")
        parameters[key] = _ESCAPED.sub(r"\1", quoted) if word is None else word
    return MediaType(name, parameters), stop


def _weighted(media: MediaType, text: str) -> MediaType:
    if "q" not in media.parameters:
        return media
    parameters = dict(media.parameters)
    weight = parameters.pop("q")
    if _WEIGHT.fullmatch(weight) is None:
        raise BodyRefused(
            "accept-malformed",
            f"Expected a weight between 0 and 1 in Accept, got q={shown(weight)}.",
        )
    return MediaType(media.name, parameters, float(weight))


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t":
        position += 1
    return position


def _check_length(text: str, header: str, code: str) -> None:
    if len(text) > MAX_HEADER_LENGTH:
        raise BodyRefused(
            code,
            f"Expected a {header} header of at most {MAX_HEADER_LENGTH} characters, got "
            f"{len(text)}.",
        )


def _malformed(text: str, position: int, header: str, code: str) -> BodyRefused:
    expected = "media types" if header == "Accept" else "one media type"
    return BodyRefused(
        code,
        f"Expected {expected} in {header}, such as 'application/json', got {shown(text)}.",
        where=f"character {position}",
    )
