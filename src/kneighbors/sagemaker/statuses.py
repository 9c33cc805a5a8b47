"""Codes of refusals to HTTP statuses, and the body that tells a client of one."""

from __future__ import annotations

import json
from types import MappingProxyType

#: Codes that can be an answer to a request, whatever server it came through, by status. A test
#: compares them with what is raised.
MODEL_CODES = MappingProxyType(
    {
        400: (
            *("accept-malformed", "answer-too-large", "array-dtype", "array-empty"),
            *("array-not-finite", "array-overflow", "array-ragged", "array-shape", "array-width"),
            *("array-zero-vector", "attributes-malformed", "attributes-too-long", "body-csv"),
            *("body-dtype", "body-empty", "body-encoding", "body-field-conflict"),
            *("body-field-missing", "body-field-unknown", "body-id", "body-json", "body-length"),
            *("body-name-doubled", "body-nesting", "body-no-queries", "body-npy", "body-number"),
            *("body-ragged", "body-shape", "body-type", "content-type-malformed"),
            *("filter-operator", "filter-too-large", "filter-type", "filter-value"),
            *("group-type", "like-missing", "like-weights", "parameter-range"),
            *("vocabulary-missing",),
            *("list-unknown", "term-unknown", "terms-empty", "terms-too-many", "terms-weightless"),
            *("exclude-self-needs-ids", "id-type", "id-unknown", "items-column-unknown"),
            *("items-missing", "n-neighbors-range", "n-neighbors-type", "parameter-conflict"),
            *("parameter-type", "parameter-unknown", "radius-range", "radius-type", "row-unknown"),
        ),
        406: ("accept-ragged", "accept-unsupported"),
        413: ("body-too-large", "ids-too-many", "rows-too-many"),
        415: ("content-type-charset", "content-type-parameter", "content-type-unsupported"),
        500: ("artifact-damaged", "script-failed", "storage-failed"),
    }
)

_LONGEST = 2000  # characters of a message; one that shows what came may be long


def error_body(code: str, message: str, where: str | None) -> bytes:
    r"""Return the body of an answer that refuses a request.

    Examples
    --------
    >>> error_body("body-json", "Expected JSON.", "byte 7")
    b'{"error": {"code": "body-json", "message": "Expected JSON.", "where": "byte 7"}}\n'
    """
    facts = {"code": code, "message": _short(message), "where": where and _short(where)}
    # ASCII, so that no client can misread it.
    return json.dumps({"error": facts}).encode() + b"\n"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
