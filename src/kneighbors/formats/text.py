"""From bytes to text, and from anything at all to a short text that a message may show."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from kneighbors.errors import BodyRefused

_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "a byte order mark",
    b"\xff\xfe": "a UTF-16 or UTF-32 byte order mark",
    b"\xfe\xff": "a UTF-16 byte order mark",
    b"\x00\x00\xfe\xff": "a UTF-32 byte order mark",
}
_MAX_SHOWN = 60


def decode_text(body: bytes, charset: str | None = None) -> str:
    """Return the text of a body in UTF-8, or refuse it.

    Parameters
    ----------
    body : bytes
    charset : {"utf-8", "us-ascii"}, optional
        What the content type promised; None means UTF-8.

    Raises
    ------
    BodyRefused
        With code ``body-empty`` or ``body-encoding``.

    Notes
    -----
    Takes as much memory as the body; four times that, where the text leaves the first 65,536
    characters of Unicode.

    Examples
    --------
    >>> decode_text(b"[1, 2]")
    '[1, 2]'
    """
    if not body or body.isspace():
        raise BodyRefused(
            "body-empty", "Expected at least one query, got an empty body.", where="byte 0"
        )
    if body[0] in b"\xef\xff\xfe\x00":
        _refuse_byte_order_mark(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BodyRefused(
            "body-encoding",
            f"Expected text in UTF-8, got the byte 0x{body[error.start]:02x}.",
            where=f"byte {error.start}",
        ) from error
    if "\0" in text[:4]:
        raise BodyRefused(
            "body-encoding",
            "Expected text in UTF-8, got zero bytes, as UTF-16 and UTF-32 have them.",
            where="byte 0",
            hint="Encode the body as plain UTF-8.",
        )
    if charset == "us-ascii" and not text.isascii():
        offset = next(i for i, byte in enumerate(body) if byte > 0x7F)
        raise BodyRefused(
            "body-encoding",
            f"Expected text in US-ASCII, as the content type says, got the byte "
            f"0x{body[offset]:02x}.",
            where=f"byte {offset}",
        )
    return text


def _refuse_byte_order_mark(body: bytes) -> None:
    for mark, name in _BYTE_ORDER_MARKS.items():
        if body.startswith(mark):
            raise BodyRefused(
                "body-encoding",
                f"Expected text in UTF-8 without a mark, got {name}.",
                where="byte 0",
                hint="Encode the body as plain UTF-8.",
            )


def shown(value: object) -> str:
    """Return `value` as a message shows it: on one line, printable, at most some 60 characters.

    Examples
    --------
    >>> shown("a" * 1000)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'... (1000 characters)"
    >>> shown(True), shown(None), shown([1, 2]), shown({})
    ('true', 'null', 'a list', 'an object')
    """
    if isinstance(value, str):
        if len(value) > _MAX_SHOWN:
            return f"{value[:_MAX_SHOWN]!r}... ({len(value)} characters)"
        return repr(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, int) and abs(value) >= 10**_MAX_SHOWN:
        return "a huge integer"
    return str(value)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name out of `known` that `name` was probably meant to be, or None.

    Examples
    --------
    >>> nearest("n_neighbours", ["n_neighbors", "radius"])
    'n_neighbors'
    """
    candidates = list(known)
    plain = name[:64].strip().lower().replace("-", "_")
    if plain in candidates:
        return plain
    found = difflib.get_close_matches(plain, candidates, n=1, cutoff=0.7)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the hint that lists what is known and names the nearest spelling.

    Examples
    --------
    >>> did_you_mean("instance_", ["instance", "ids"])
    "Did you mean 'instance'? Known are: ids, instance."
    """
    names = sorted(known)
    guess = nearest(name, names)
    question = f"Did you mean {guess!r}? " if guess else ""
    return f"{question}Known are: {', '.join(names)}."
