"""The formats by their names: bytes and headers to a `Request`, an `Answer` to bytes.

Which format an answer is written in is decided by `kneighbors.formats.negotiation`.

=========================  =====================================  ==========================
Media type                 also known as                          carries
=========================  =====================================  ==========================
application/x-npy                                                 distances over indices
application/json                                                  everything
text/csv                                                          distances and indices
application/jsonlines      application/x-ndjson,                  everything
                           application/jsonl
=========================  =====================================  ==========================

Examples
--------
>>> request = decode(b"[0.1, 0.2]", "application/json", "k=3")
>>> request.vectors, request.parameters.n_neighbors
(array([[0.1, 0.2]]), 3)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Never

from kneighbors.errors import BodyRefused
from kneighbors.formats import csv, json, jsonlines, npy
from kneighbors.formats.answer import Answer
from kneighbors.formats.attributes import read_attributes
from kneighbors.formats.limits import Limits
from kneighbors.formats.media import Accepted, MediaType, parse_content_type
from kneighbors.formats.parameters import build, join
from kneighbors.formats.request import Payload, Request
from kneighbors.formats.text import shown

NPY = "application/x-npy"
JSON = "application/json"
CSV = "text/csv"
JSONLINES = "application/jsonlines"


@dataclass(frozen=True, slots=True)
class Format:
    """One way of writing requests and answers.

    Parameters
    ----------
    name : str
        Media type.
    decode : callable
        ``(body, media, limits) -> Payload``.
    encode : callable
        ``(answer, parameters) -> bytes``; parameters are those of the accepted media range.
    is_text : bool
        Whether a charset means something.
    carries : frozenset of str
        What an answer may have beyond distances and indices of fixed width: ``"ragged"`` rows,
        ``"items"``.
    """

    name: str
    decode: Callable[[bytes, MediaType, Limits], Payload]
    encode: Callable[[Answer, dict[str, str]], bytes]
    is_text: bool
    carries: frozenset[str] = frozenset()


_EVERYTHING = frozenset({"ragged", "items"})
#: In the order in which they are preferred where a client has no preference.
FORMATS = MappingProxyType(
    {
        form.name: form
        for form in (
            Format(JSON, json.decode, json.encode, is_text=True, carries=_EVERYTHING),
            Format(NPY, npy.decode, npy.encode, is_text=False),
            Format(CSV, csv.decode, csv.encode, is_text=True),
            Format(
                JSONLINES, jsonlines.decode, jsonlines.encode, is_text=True, carries=_EVERYTHING
            ),
        )
    }
)
ALIASES = MappingProxyType({"application/x-ndjson": JSONLINES, "application/jsonl": JSONLINES})
MEDIA_TYPES = tuple(FORMATS)

_CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "us-ascii", "ascii": "us-ascii"}


def source_of(content_type: str | None, body: bytes) -> MediaType:
    """Return the media type of a request's body, by its canonical name.

    Without a Content-Type, a body that begins with the magic string of a ``.npy`` file is one and
    any other is JSON, as in AWS's containers. ``application/octet-stream``, which the AWS SDKs
    send where a caller says nothing, is accepted for a ``.npy`` file alone.

    Raises
    ------
    BodyRefused
        With code ``content-type-malformed``, ``content-type-unsupported`` or
        ``content-type-charset``.
    """
    if content_type is None or not content_type.strip():
        return _plain(NPY if body.startswith(npy.MAGIC) else JSON)
    media = _known_type(content_type)
    if media is None:
        if body.startswith(npy.MAGIC):
            return _plain(NPY)
        _refuse_content_type(content_type)
    return media


def decode(
    body: bytes,
    content_type: str | None = None,
    custom_attributes: str | None = None,
    limits: Limits | None = None,
) -> Request:
    """Return what a request asks for.

    Parameters
    ----------
    body : bytes
    content_type : str, optional
        The header; see `source_of` for what its absence means.
    custom_attributes : str, optional
        The header X-Amzn-SageMaker-Custom-Attributes.
    limits : Limits, optional

    Returns
    -------
    Request

    Raises
    ------
    BodyRefused, ParameterRefused
        With the codes that `docs/reference/wire-format.md` lists. Whatever the bytes are, nothing
        else is raised.

    Notes
    -----
    Memory is at most 128 times the body in JSON and JSON lines, which likes without a number
    need; 20 times in CSV, and 4 times in ``application/x-npy``. Lists of numbers need ten times the
    body, float32 and float64 in ``application/x-npy`` next to nothing.
    """
    limits = limits or Limits()
    if len(body) > limits.max_body_bytes:
        raise BodyRefused(
            "body-too-large",
            f"Expected a body of at most {limits.max_body_bytes} bytes, got {len(body)}.",
            hint="Send the queries in several requests.",
        )
    media = source_of(content_type, body)
    payload = FORMATS[media.name].decode(body, media, limits)
    given = payload.given
    if custom_attributes:
        header = read_attributes(custom_attributes, limits)
        given = join(given, header, "X-Amzn-SageMaker-Custom-Attributes")
    return Request(
        payload.vectors, payload.ids, payload.wishes, payload.single, payload.shape, build(given)
    )


def encode(answer: Answer, accepted: Accepted) -> tuple[bytes, str]:
    """Return an answer as bytes, and their content type.

    Parameters
    ----------
    answer : Answer
    accepted : Accepted
        From `kneighbors.formats.negotiation.negotiate`, which knows what each format carries.
    """
    return FORMATS[accepted.name].encode(answer, accepted.parameters), accepted.content_type


@lru_cache(maxsize=512)
def _known_type(content_type: str) -> MediaType | None:
    """Return the media type by its canonical name; None for ``application/octet-stream``."""
    media = parse_content_type(content_type)
    name = ALIASES.get(media.name, media.name)
    form = FORMATS.get(name)
    if form is None:
        if name == "application/octet-stream":
            return None
        _refuse_content_type(content_type)
    parameters = dict(media.parameters)
    if form.is_text and "charset" in parameters:
        charset = _CHARSETS.get(parameters["charset"].lower())
        if charset is None:
            raise BodyRefused(
                "content-type-charset",
                f"Expected the charset utf-8 or us-ascii, got {shown(parameters['charset'])}.",
            )
        parameters["charset"] = charset
    return MediaType(name, parameters)


@lru_cache(maxsize=8)
def _plain(name: str) -> MediaType:
    return MediaType(name)


def _refuse_content_type(content_type: str) -> Never:
    hint = None
    if "x-www-form-urlencoded" in content_type.lower():
        hint = "curl -d sends that unless told otherwise: add -H 'Content-Type: application/json'."
    raise BodyRefused(
        "content-type-unsupported",
        f"Expected a Content-Type out of {', '.join(MEDIA_TYPES)}, got {shown(content_type)}.",
        hint=hint,
    )
