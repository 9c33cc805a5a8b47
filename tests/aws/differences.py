"""Where a host answers otherwise than our own server, and why it has to.

This is the whole list: whatever else differs fails the test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aws.requests import ELSEWHERE, REFUSED
from kneighbors.formats import JSON

HOSTS = {
    "own": "our own server, as `serve` starts it in a container of ours",
    "front": "our front in AWS's gunicorn stack (`kneighbors package --front ours`)",
    "gunicorn": "AWS's gunicorn stack, which the stock image serves one model with",
    "mms": "AWS's multi-model-server with one model",
    "mms-multi": "AWS's multi-model-server with models that are loaded on request",
}

REASONS = {
    "traceback": (
        "AWS's inference toolkit writes a traceback after the body of a refusal, and says no type. "
        "The status and the first line are ours."
    ),
    "text": (
        "Text that is no UTF-8 is decoded by AWS's toolkits, before a handler sees it: by one of "
        "them with a mark in place of what it cannot read, by the other not at all."
    ),
    "accept": (
        "AWS's toolkits take a missing Accept, or one that takes anything, for `application/json`. "
        "Our server answers in the format of the request."
    ),
    "pages": (
        "Paths and methods are the front's: no handler is asked. Each has error bodies of its own."
    ),
    "ping": (
        "The platform looks at the status of `/ping` alone. AWS's fronts label its empty body as "
        "JSON, or say in JSON that all is well; the one for a single model takes GET only."
    ),
    "paths": (
        "Our front within AWS's stack has no `/metrics` and no `/openapi.json`, and so names other "
        "paths where it knows none. Status and code are the same."
    ),
    "slashes": ("AWS's fronts take some other spellings of a path for the path. Ours takes one."),
    "methods": "The multi-model-server takes any method for an invocation, our server POST only.",
    "size": (
        "Without nginx, which the stock image has in front of it, gunicorn bounds no body; ours is "
        "refused as no array. The platform itself lets no such body through."
    ),
    "size-empty": "The multi-model-server refuses what is too large with an empty body.",
    "execution-parameters": (
        "AWS's multi-model-server has no such path, and its gunicorn stack only for a script that "
        "defines `execution_parameters_fn`. Batch transform then uses what the job says."
    ),
}


@dataclass(frozen=True)
class Difference:
    """What a host answers in place of our server's answer.

    Parameters
    ----------
    status : int
    content_type : str
        Without parameters; empty for none.
    reason : str
        One of `REASONS`.
    """

    status: int
    content_type: str
    reason: str


_HTML = "text/html"
_REFUSED = [call.name for call in REFUSED]
_UNSUPPORTED = ["an unknown content type", "an unknown charset"]
_UNACCEPTABLE = ["an unknown Accept", "radius as npy"]
_ANYTHING = ["no Accept", "Accept anything"]
_NO_TEXT = "json that is no UTF-8"
_TOO_LARGE = "one byte too many"


def _all(
    names: Iterable[str], status: int, content_type: str, reason: str
) -> dict[str, Difference]:
    return {name: Difference(status, content_type, reason) for name in names}


_GUNICORN = {
    **_all(_ANYTHING, 200, JSON, "accept"),
    _NO_TEXT: Difference(400, JSON, "text"),
    **_all(["invocations by GET", "invocations by PUT"], 405, _HTML, "pages"),
    **_all(["an unknown path", "the root", "a slash at the end"], 404, _HTML, "pages"),
    _TOO_LARGE: Difference(400, JSON, "size"),
    "ping": Difference(200, JSON, "ping"),
    "ping by POST": Difference(405, _HTML, "ping"),
    "a slash too many": Difference(200, JSON, "slashes"),
    "execution parameters": Difference(404, _HTML, "execution-parameters"),
}

_MMS = {
    **_all(_REFUSED, 400, "", "traceback"),
    **_all(_UNSUPPORTED, 415, "", "traceback"),
    **_all(_UNACCEPTABLE, 406, "", "traceback"),
    **_all(_ANYTHING, 200, JSON, "accept"),
    _NO_TEXT: Difference(500, "", "text"),
    _TOO_LARGE: Difference(413, "", "size-empty"),
    "ping": Difference(200, JSON, "ping"),
    "ping by POST": Difference(200, JSON, "ping"),
    "invocations by GET": Difference(400, "", "methods"),
    "invocations by PUT": Difference(200, JSON, "methods"),
    "an unknown path": Difference(404, JSON, "pages"),
    "the root": Difference(405, JSON, "pages"),
    "a slash too many": Difference(404, JSON, "pages"),
    "a slash at the end": Difference(200, JSON, "slashes"),
    "execution parameters": Difference(404, JSON, "execution-parameters"),
}

_FRONT = _all(
    ["an unknown path", "the root", "a slash too many", "a slash at the end"], 404, JSON, "paths"
)

DIFFERENCES: dict[str, dict[str, Difference]] = {
    "own": {},
    "front": _FRONT,
    "gunicorn": _GUNICORN,
    "mms": _MMS,
    "mms-multi": {**_MMS, "a slash at the end": Difference(400, JSON, "pages")},
}

assert {call.name for call in ELSEWHERE} <= {*_GUNICORN}, "each of these is the front's own"
