"""Requests and answers on the wire: bytes and headers to arrays, arrays to bytes.

`decode`, `negotiate` and `encode` are the door. Each content type is one module. Nothing
here knows an index or HTTP; numpy and the standard library are all that is imported, and nothing
but a `kneighbors.errors.KNeighborsError` comes out, whatever bytes go in.

The text for callers is `docs/reference/wire-format.md`.
"""

from __future__ import annotations

from kneighbors.formats.answer import Answer
from kneighbors.formats.limits import Limits
from kneighbors.formats.media import Accepted
from kneighbors.formats.negotiation import negotiate
from kneighbors.formats.registry import (
    CSV,
    JSON,
    JSONLINES,
    MEDIA_TYPES,
    NPY,
    decode,
    encode,
    source_of,
)
from kneighbors.formats.request import Example, Parameters, Request, Wish

__all__ = [
    "Accepted",
    "Answer",
    "CSV",
    "Example",
    "JSON",
    "JSONLINES",
    "Limits",
    "MEDIA_TYPES",
    "NPY",
    "Parameters",
    "Request",
    "Wish",
    "decode",
    "encode",
    "negotiate",
    "source_of",
]
