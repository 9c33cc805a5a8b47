"""The strict gate before the HTTP parser: what bytes may be a request, and where it ends.

No parser is trusted with bytes that two programs could read differently. The gate takes the bytes
of a connection apart into heads and bodies by the narrowest reading of RFC 9112, within bounds,
and refuses the rest; the parser then sees one message at a time. It knows no sockets.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from kneighbors.server.chunks import Chunks
from kneighbors.server.refusals import HTTPRefused, body_too_large

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE = re.compile(rb"(%b) (?:(?:/|https?://)[\x21\x22\x24-\x7e]*|\*) HTTP/1\.([01])\r\n" % _TOKEN)
_FIELDS = re.compile(rb"(?:%b:[\t\x20-\x7e\x80-\xff]*\r\n)*" % _TOKEN)
# Never part of a head: controls, and a line feed or a carriage return without the other; a
# carriage return at the very end may still get its line feed.
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])")
# An offer to go on in another protocol, which a server may ignore; the parser would not.
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r]*", re.IGNORECASE)
_KEPT = re.compile(rb"\A[^\r]* HTTP/1\.1\r")
_CONNECTION = re.compile(rb"\r\nconnection:", re.IGNORECASE)
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")
_LENGTH = re.compile(rb"[0-9]{1,19}")

# Headers that decide where a message ends and whether it may be read; none may come twice.
_DECISIVE = re.compile(
    rb"\r\n(host|content-length|transfer-encoding|expect):[\t ]*([^\r]*?)[\t ]*(?=\r)",
    re.IGNORECASE,
)


class Bounds(NamedTuple):
    """How large the parts of a request may be."""

    line_bytes: int
    header_bytes: int
    headers: int
    body_bytes: int


class Head(NamedTuple):
    """The request line and the headers of one message, with the empty line that ends them."""

    method: bytes
    text: bytes
    has_body: bool


class Gate:
    """Takes the bytes of one connection apart.

    For each message: `head` until it returns one, and if that has a body, `body` until it says
    that the message is complete.

    Parameters
    ----------
    bounds : Bounds
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._begun = b""  # a head that is not complete
        self._has_skipped = False  # an empty line before it
        self._left = 0  # bytes of a body of known length
        self._chunks: Chunks | None = None

    def head(self, data: bytes) -> tuple[Head | None, bytes]:
        """Return a head when it is complete, and the bytes that follow it.

        Raises
        ------
        HTTPRefused
            As soon as it is certain that this is no request, or one with too long a head, or
            one whose end is in doubt.
        """
        seen = len(self._begun)
        text = self._begun + data if seen else data
        if text.startswith(b"\r\n") and not self._has_skipped:
            # RFC 9112, 2.2: an empty line before a request means nothing.
            self._has_skipped = True
            text, seen = text[2:], max(0, seen - 2)
        end = text.find(b"\r\n\r\n", max(0, seen - 3))
        self._check_size(text, end)
        if end < 0:
            if _FORBIDDEN.search(text, max(0, seen - 1)):
                raise malformed()
            self._begun = text
            return None, b""
        self._begun, self._has_skipped = b"", False
        line = _LINE.match(text)
        if line is None or not _FIELDS.fullmatch(text, line.end(), end + 2):
            raise malformed()
        if line[1] == b"CONNECT":  # of a path; and what follows might be no HTTP
            raise malformed()
        head, rest = text[: end + 4], text[end + 4 :]
        self._judge(head, is_old=line[2] == b"0")
        has_body = self._chunks is not None or self._left > 0
        return Head(line[1], _UPGRADE.sub(b"", head), has_body), rest

    @property
    def has_begun(self) -> bool:
        """Whether a part of a head has arrived."""
        return bool(self._begun) or self._has_skipped

    def _check_size(self, text: bytes, end: int) -> None:
        bounds = self._bounds
        line = text.find(b"\r\n", 0, bounds.line_bytes + 2)
        if line < 0:
            if len(text) > bounds.line_bytes + 1:
                raise HTTPRefused(
                    "url-too-long",
                    f"Expected a request line of at most {bounds.line_bytes} bytes, got more.",
                )
            return
        stop = len(text) if end < 0 else end
        if stop - line > bounds.header_bytes or text.count(b"\r\n", line, stop) > bounds.headers:
            raise HTTPRefused(
                "headers-too-large",
                f"Expected at most {bounds.headers} headers of together {bounds.header_bytes} "
                "bytes, got more.",
            )

    def _judge(self, head: bytes, *, is_old: bool) -> None:
        """Find out from the headers how the body ends; `is_old` means HTTP/1.0."""
        decisive: dict[bytes, bytes] = {}
        for name, value in _DECISIVE.findall(head):
            if name.lower() in decisive:
                _refuse_decisive(name.lower(), "once, got it twice")
            decisive[name.lower()] = value
        _check_host(decisive.get(b"host"), is_old=is_old)
        expectation = decisive.get(b"expect")
        if expectation is not None and expectation.lower() != b"100-continue":
            raise HTTPRefused(
                "expectation-unknown", "Expected Expect to be 100-continue, got something else."
            )
        self._left, self._chunks = 0, None
        length, coding = decisive.get(b"content-length"), decisive.get(b"transfer-encoding")
        if coding is not None:
            if length is not None:
                _refuse_decisive(b"content-length", "alone, got Transfer-Encoding as well")
            if coding.lower() != b"chunked" or is_old:
                _refuse_decisive(b"transfer-encoding", "to be chunked in HTTP/1.1, got another")
            self._chunks = Chunks(self._bounds.body_bytes)
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                _refuse_decisive(b"content-length", "to be a plain number, got something else")
            self._left = int(length)
            if self._left > self._bounds.body_bytes:
                raise body_too_large(self._bounds.body_bytes)

    def body(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Return the bytes that belong to this message, those that do not, and if it is complete.

        Raises
        ------
        HTTPRefused
        """
        if self._chunks is not None:
            used = self._chunks.feed(data)
            return data[:used], data[used:], self._chunks.complete
        used = min(self._left, len(data))
        self._left -= used
        return data[:used], data[used:], self._left == 0


def _check_host(host: bytes | None, *, is_old: bool) -> None:
    if host is None and is_old:
        return
    if host is None or not _HOST.fullmatch(host):
        raise HTTPRefused("host-invalid", "Expected one Host header with a name or an address.")


def _refuse_decisive(name: bytes, expected: str) -> NoReturn:
    code = "host-invalid" if name == b"host" else "request-framing"
    raise HTTPRefused(code, f"Expected {name.decode().title()} {expected}.", where="the headers")


def may_be_shed(head: Head) -> bool:
    """Tell whether a request may be refused to gain time: queries may, pings may not."""
    return head.method == b"POST" and not head.text.startswith(b"POST /ping")


def is_kept_by(head: Head) -> bool:
    """Tell whether a client leaves its connection open for certain."""
    return _KEPT.search(head.text) is not None and _CONNECTION.search(head.text) is None


def malformed() -> HTTPRefused:
    """Return the refusal of bytes that are no request."""
    return HTTPRefused(
        "request-malformed", "Expected an HTTP/1.1 request, got bytes that are none."
    )
