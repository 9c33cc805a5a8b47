"""The tokens by which a server knows who may ask it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from pathlib import Path

from kneighbors.errors import ParameterRefused
from kneighbors.server.defences import Defences
from kneighbors.server.watched import Watched

#: Characters of a token at least. A hundred thousand guesses a second find one of 16 random
#: letters and digits in ten thousand times the age of the universe.
SHORTEST = 16
_LONGEST = 4096
_MOST_BYTES = 1 << 20
# RFC 6750 calls it b64token.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Tokens:
    """A set of tokens, of which only digests are kept.

    Parameters
    ----------
    defences : Defences
        With `auth_token`, `auth_token_file` or both.

    Raises
    ------
    ParameterRefused
        With code ``token-malformed`` or ``token-file``. No message shows a token.
    """

    def __init__(self, defences: Defences) -> None:
        given = defences.auth_token
        path = defences.auth_token_file

        def read() -> tuple[bytes, ...]:
            own = [_digest(one, f"setting auth_token, token {n}") for n, one in _numbered(given)]
            return (*own, *_in_file(path)) if path else tuple(own)

        self.watched = Watched([path] if path else [], read)

    def know(self, token: bytes) -> bool:
        """Tell whether this is one of them, in a time that depends on its length alone."""
        digest = hashlib.sha256(token).digest()
        found = False
        for one in self.watched.now():
            found |= hmac.compare_digest(one, digest)
        return found


def token_in(header: bytes, *, basic: bool) -> bytes | None:
    """Return the token that a header ``Authorization`` brings, None if it brings none.

    Parameters
    ----------
    header : bytes
    basic : bool
        Whether the password of ``Basic`` is taken for one, which is all that a browser can send.

    Examples
    --------
    >>> token_in(b"Bearer secret", basic=False), token_in(b"Basic OnNlY3JldA==", basic=True)
    (b'secret', b'secret')
    """
    scheme, _, rest = header.partition(b" ")
    rest = rest.strip(b" ")
    if scheme.lower() == b"bearer":
        return rest or None
    if basic and scheme.lower() == b"basic":
        try:
            pair = base64.b64decode(rest, validate=True)
        except (binascii.Error, ValueError):
            return None
        return pair.partition(b":")[2] or None
    return None


def _in_file(path: str) -> list[bytes]:
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MOST_BYTES + 1).decode("ascii")
    except UnicodeDecodeError as error:
        raise _unusable(path, "lines of ASCII, got something else") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _unusable(path, f"a file to read tokens from: {reason}") from error
    if len(text) > _MOST_BYTES:
        raise _unusable(path, f"at most {_MOST_BYTES} bytes, got more")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        token = line.strip()
        if token and not token.startswith("#"):
            found.append(_digest(token, f"{path}, line {number}"))
    if not found:
        raise _unusable(path, "a token at least, got none")
    return found


def _numbered(text: str) -> list[tuple[int, str]]:
    return list(enumerate(text.split(), 1))


def _digest(token: str, where: str) -> bytes:
    if not (SHORTEST <= len(token) <= _LONGEST and _TOKEN.fullmatch(token)):
        raise ParameterRefused(
            "token-malformed",
            f"Expected a token of {SHORTEST} to {_LONGEST} letters, digits and -._~+/, with = at "
            f"the end alone, got one of {len(token)} characters that is none.",
            where=where,
            hint="`openssl rand -hex 32` makes one.",
        )
    return hashlib.sha256(token.encode()).digest()


def _unusable(path: str, expected: str) -> ParameterRefused:
    return ParameterRefused("token-file", f"Expected {expected}.", where=path)
