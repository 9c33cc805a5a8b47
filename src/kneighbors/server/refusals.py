"""An error as an HTTP response: one form for all, wherever it was noticed."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kneighbors.errors import KNeighborsError
from kneighbors.sagemaker.statuses import error_body
from kneighbors.server.statuses import RETRY_AFTER_S, SERVER_CODES, status_of

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
#: Whoever calls a script of their own needs to hear what it raised, as from AWS's servers.
_SCRIPT_FAILED = "script-failed"
_HIDDEN = "Expected to answer, but the server has a fault. Its log says which, by the request id."

# Ids are to be told apart, not to be secret; to ask the system for each would cost too much.
_RANDOM = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_RANDOM.seed)

Headers = list[tuple[bytes, bytes]]


class HTTPRefused(KNeighborsError):
    """A request that HTTP itself, or the state of the server, refuses.

    Parameters
    ----------
    code : str
        A key of `kneighbors.server.statuses.SERVER_CODES`.
    message : str
        What was expected and what came.
    where : str, optional
        Place of the fault.
    allow : str, optional
        Value of the Allow header.
    challenges : sequence of str, default=()
        Values of WWW-Authenticate.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        allow: str | None = None,
        challenges: Sequence[str] = (),
    ) -> None:
        super().__init__(code, message, where=where)
        self.headers: Headers = [(b"www-authenticate", one.encode()) for one in challenges]
        if allow is not None:
            self.headers.append((b"allow", allow.encode()))


def body_too_large(most: int) -> HTTPRefused:
    """Return the refusal of a body that is, or says that it is, too large."""
    return HTTPRefused(
        "body-too-large",
        f"Expected a body of at most {most} bytes, got more. Send the queries in several requests.",
    )


def overloaded() -> HTTPRefused:
    """Return the refusal of a request that there is no time to look at."""
    return HTTPRefused("overloaded", "Expected fewer requests at a time than there are.")


def stopping() -> HTTPRefused:
    """Return the refusal of a request that the end of the server leaves no time for."""
    return HTTPRefused("stopping", "Expected to answer before the server stops.")


def late() -> HTTPRefused:
    """Return the refusal of a request whose answer has taken too long."""
    return HTTPRefused("answer-timeout", "Expected to answer in time, but could not.")


def check_encoding(encoding: str | None) -> None:
    """Refuse a body that is compressed: a kilobyte of it may stand for a megabyte.

    Parameters
    ----------
    encoding : str, optional
        The header Content-Encoding.
    """
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        raise HTTPRefused(
            "content-encoding-unsupported",
            "Expected a body that is not compressed, got another Content-Encoding. Send it as it "
            "is; as application/x-npy in float32 it is small.",
            where="content-encoding",
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """The response to an error."""

    code: str
    status: int
    headers: Headers
    body: bytes


def refusal(error: BaseException) -> Refusal:
    """Return the response to an error.

    What is no refusal of ours is a fault: the client learns no more than that, and neither does
    it of an artifact's or a disk's fault, whose message may name paths.

    Examples
    --------
    >>> answer = refusal(HTTPRefused("path-unknown", "Expected /ping."))
    >>> answer.status, answer.body.strip()
    (404, b'{"error": {"code": "path-unknown", "message": "Expected /ping.", "where": null}}')
    >>> refusal(ZeroDivisionError("secret")).code
    'internal'
    """
    if isinstance(error, KNeighborsError):
        code, status = error.code, status_of(error)
        hidden = status >= 500 and code not in (*SERVER_CODES, _SCRIPT_FAILED)
        message = error.message if error.hint is None else f"{error.message} {error.hint}"
        where = error.where
    elif isinstance(error, MemoryError):
        code, status, hidden, where = "memory-exhausted", 503, False, None
        message = "Expected enough memory for the answer, got too little."
    else:
        code, status, hidden, message, where = "internal", 500, True, "", None
    body = error_body(code, _HIDDEN if hidden else message, None if hidden else where)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 503:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    if isinstance(error, HTTPRefused):
        headers += error.headers
    return Refusal(code, status, headers, body)


def request_id(given: bytes | None = None) -> bytes:
    """Return the client's own id if it is short and plain, else a new one.

    Examples
    --------
    >>> request_id(b"job-7")
    b'job-7'
    >>> len(request_id(b"job 7; x"))
    16
    """
    if given is not None and _ID.fullmatch(given):
        return given
    return b"%016x" % _RANDOM.getrandbits(64)
