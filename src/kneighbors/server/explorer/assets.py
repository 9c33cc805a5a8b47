"""The page's files: read once, named by what they hold, sent with a strict policy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_TYPES = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
        ".woff2": "font/woff2",
        ".txt": "text/plain; charset=utf-8",
    }
)

#: The page is made of its own files and talks to its own server, and nobody frames it.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

#: Sent with everything that the explorer answers.
SECURITY_HEADERS = MappingProxyType(
    {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page.

    Attributes
    ----------
    body : bytes
    content_type : str
    tag : str
        The value of ETag.
    """

    body: bytes
    content_type: str
    tag: str


@cache
def assets() -> MappingProxyType[str, Asset]:
    """Return every file of the page by its name; ``index.html`` is the page itself."""
    found = {}
    for one in files(__package__).joinpath("static").iterdir():
        kind = _TYPES.get(one.name[one.name.rfind(".") :])
        if kind is not None:
            body = one.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
            found[one.name] = Asset(body, kind, tag)
    return MappingProxyType(found)
