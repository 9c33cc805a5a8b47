"""Who answers a request: SageMaker, its runtime and one call of IAM are ours, moto has the rest."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from kneighbors.local import answers
from kneighbors.local.answers import Environ, StartResponse
from kneighbors.local.call import InvokeReply, InvokeRequest
from kneighbors.local.faults import Fault
from kneighbors.local.operations import perform
from kneighbors.local.policies import ACTION, simulate_principal_policy

if TYPE_CHECKING:
    from kneighbors.local.moto_front import MotoFront
    from kneighbors.local.plane import Plane

LOG = logging.getLogger("kneighbors.local")

#: Paths of the plane's own; no bucket can have this name.
OWN = "/_kneighbors/"
_TARGET = "SageMaker."
_INVOKE = re.compile(
    r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)"
)
_SCOPE = re.compile(r"Credential=[^/,\s]+/\d+/[\w-]+/([\w.-]+)/aws4_request")
#: The longest request to the API, and to the runtime: an endpoint takes 6 MiB and says so itself.
_REQUEST_BYTES = 16 << 20
_INVOCATION_BYTES = 64 << 20

_OWN_HOSTS = ("127.0.0.1", "localhost")
#: As those may call it who come with an address of AWS.
_OWN_DOMAINS = (".localhost", ".amazonaws.com")

Invoke = Callable[["Plane", InvokeRequest], InvokeReply]
Status = Callable[[], dict[str, Any]]
Answer = Callable[[Environ, StartResponse], Iterable[bytes]]
Refuse = Callable[[StartResponse, Fault], Iterable[bytes]]


class Dispatch:
    """The WSGI application of the plane.

    Parameters
    ----------
    plane : Plane
    moto : MotoFront
        Answers what is not ours.
    invoke : callable
        Answers calls of the runtime.
    status : callable
        Returns what ``/_kneighbors/status`` tells.
    """

    def __init__(self, plane: Plane, moto: MotoFront, invoke: Invoke, status: Status) -> None:
        self._plane = plane
        self._moto = moto
        self._invoke = invoke
        self._status = status

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        """Answer a request; whatever goes wrong is an error in the form of its protocol."""
        request_id = answers.new_request_id()
        start = answers.identified(start, request_id)
        answer, refuse = self._parties(environ)
        try:
            _demand_own_machine(environ)
            return answer(environ, start)
        except Fault as fault:
            return refuse(start, fault)
        except (ConnectionError, TimeoutError):
            raise
        except (OSError, sqlite3.OperationalError) as error:
            LOG.exception("request %s failed", request_id)
            return refuse(start, Fault("InternalFailure", f"The disk refused: {error}", 500))
        except Exception:
            LOG.exception("request %s failed", request_id)
            text = f"An internal error occurred. The log has more of request {request_id}."
            return refuse(start, Fault("InternalFailure", text, 500))

    def _parties(self, environ: Environ) -> tuple[Answer, Refuse]:
        """Return who answers, and who says no in the same protocol."""
        path, scope = environ["PATH_INFO"], _scope(environ)
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith(_TARGET):
            return self._operation, answers.send_fault
        if path.startswith(OWN):
            return self._own, answers.send_fault
        if scope in ("sagemaker", "") and _INVOKE.fullmatch(path):
            return self._invocation, answers.send_runtime_fault
        if scope == "sagemaker" or (not scope and path.startswith("/endpoints/")):
            return self._unknown, answers.send_fault
        if scope == "iam":
            return self._iam, answers.send_query_fault
        return self._moto.answer, _refusal(scope, path)

    def _operation(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        name = environ["HTTP_X_AMZ_TARGET"].removeprefix(_TARGET)
        try:
            request = json.loads(_body(environ, _REQUEST_BYTES) or b"{}")
        except ValueError as error:
            raise Fault("SerializationException", f"The request is no JSON: {error}.") from None
        except RecursionError:
            raise Fault("SerializationException", "The request is nested too deep.") from None
        if not isinstance(request, dict):
            raise Fault("SerializationException", "The request is no JSON object.")
        return answers.send_json(start, 200, perform(self._plane, name, request))

    def _invocation(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        found = _INVOKE.fullmatch(environ["PATH_INFO"])
        if environ["REQUEST_METHOD"] != "POST" or found is None:
            raise Fault("MethodNotAllowedException", "An endpoint is called with POST.", 405)
        body = _body(environ, _INVOCATION_BYTES)
        call = InvokeRequest(found[1], found[2], _headers(environ), body)
        return _send_reply(start, self._invoke(self._plane, call))

    def _unknown(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].endswith("/BatchPutMetrics"):
            return self._moto.answer(environ, start)
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        raise Fault(
            "UnknownOperationException", f"kneighbors local does not implement {asked}.", 404
        )

    def _iam(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        body = _body(environ, _REQUEST_BYTES)
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
        if form.get("Action") == ACTION:
            text = simulate_principal_policy(form)
            return answers.send(start, 200, text.encode(), "text/xml")
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return self._moto.answer(environ, start)

    def _own(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == OWN + "health":
            return answers.send_json(start, 200, {"status": "ok"})
        if environ["PATH_INFO"] == OWN + "status":
            return answers.send_json(start, 200, self._status())
        raise Fault("ResourceNotFound", f"There is no {environ['PATH_INFO']}.", 404)


def _demand_own_machine(environ: Environ) -> None:
    """Refuse what a page in a browser sends: jobs are code, and any page could start one."""
    origin = urllib.parse.urlsplit(environ.get("HTTP_ORIGIN", "")).hostname
    host = urllib.parse.urlsplit("//" + environ.get("HTTP_HOST", "")).hostname
    for name in (origin, host):
        if name and name not in _OWN_HOSTS and not name.endswith(_OWN_DOMAINS):
            raise Fault("AccessDenied", f"The plane answers this machine only, not {name}.", 403)
    if environ.get("HTTP_ORIGIN") == "null":  # a page from a file, or in a sandbox
        raise Fault("AccessDenied", "The plane answers this machine only.", 403)


def _send_reply(start: StartResponse, reply: InvokeReply) -> Iterable[bytes]:
    headers = [(name, value) for name, value in reply.headers.items()]
    if isinstance(reply.body, bytes):
        headers.append(("Content-Length", str(len(reply.body))))
        start(answers.status_line(reply.status), headers)
        return [reply.body]
    start(answers.status_line(reply.status), headers)
    return reply.body


def _refusal(scope: str, path: str) -> Refuse:
    if scope in ("sts", "iam", "sqs", "sns", "ec2"):
        return answers.send_query_fault
    if scope not in ("s3", ""):
        return answers.send_fault

    def refuse(start: StartResponse, fault: Fault) -> Iterable[bytes]:
        if fault.code == "InternalFailure":  # S3 has a word of its own, which its clients know
            fault = Fault("InternalError", fault.message, fault.status)
        return answers.send_s3_fault(start, fault, path)

    return refuse


def _scope(environ: Environ) -> str:
    """Return the service that a request is signed for; empty where it is not signed."""
    found = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if found is not None:
        return found[1].lower()
    signed = urllib.parse.parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])
    parts = signed[0].split("/")
    return parts[3].lower() if len(parts) == 5 else ""


def _body(environ: Environ, limit: int) -> bytes:
    data: bytes = environ["wsgi.input"].read(limit + 1)
    if len(data) > limit:
        raise Fault("RequestEntityTooLarge", f"HTTP content length exceeded {limit} bytes.", 413)
    return data


def _headers(environ: Environ) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return headers
