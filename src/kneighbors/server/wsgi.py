"""The endpoint as a WSGI application, for AWS's scikit-learn image in place of its own front.

Two variables of the model put it there; `docs/decisions/0004-front-in-the-stock-image.md` has the
measurements::

    SAGEMAKER_SERVING_MODULE=kneighbors.server.wsgi:main
    PYTHONPATH=/opt/ml/model/code

The image runs gunicorn with gevent's workers. Each opens the model before it takes a connection, so
no ping waits for it. The vectors are mapped: the workers share one copy of them. What the image
does not have, an ASGI server and framework, is not imported here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from kneighbors.errors import KNeighborsError
from kneighbors.formats.attributes import foreign_attributes
from kneighbors.sagemaker.hosting import Hosted, open_hosted
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Found, Query, Reply
from kneighbors.server import logs
from kneighbors.server.cores import set_blas_threads
from kneighbors.server.guard import Guard
from kneighbors.server.joining import find_each
from kneighbors.server.logs import LOG
from kneighbors.server.refusals import (
    HTTPRefused,
    body_too_large,
    check_encoding,
    refusal,
    request_id,
)
from kneighbors.server.settings import Settings
from kneighbors.server.transforming import execution_parameters_of
from kneighbors.server.variables import container_settings

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIEnvironment

T = TypeVar("T")
Headers = list[tuple[str, str]]

#: Queries of a request that are searched for at once without a thread: some 20 ms at most.
_FEW = 8
_BATCH = 32
#: Time that a busy worker has to take further requests in before it searches.
_GATHERING_S = 0.02
#: gunicorn takes this for a worker that will never start, and ends.
_BOOT_FAILED = 3
_DRAINED_BYTES, _DRAINED_AT_ONCE = 1 << 26, 1 << 16
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
#: What frames the answer is the server's to say.
_SERVERS_OWN = frozenset({"connection", "date", "server", "transfer-encoding", "keep-alive"})

_JSON = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Headers
    body: bytes


class Application:
    """A hosted model as a WSGI application.

    Parameters
    ----------
    hosted : Hosted
        Warmed up.
    settings : Settings
        Of these, the limits of a body and what ``/execution-parameters`` says are heeded.
    """

    def __init__(self, hosted: Hosted, settings: Settings) -> None:
        self._hosted = hosted
        self._settings = settings
        self._guard = Guard(settings, is_platform=True)
        self._has_failed = False
        self._routes: Mapping[str, tuple[str, Callable[[WSGIEnvironment], _Answer]]] = {
            "/execution-parameters": ("GET, HEAD", self._execution_parameters),
            "/invocations": ("POST", self._invocations),
            "/ping": ("GET, HEAD, POST", self._ping),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        asked = environ.get("HTTP_X_REQUEST_ID")
        identity = request_id(None if asked is None else asked.encode("latin-1")).decode()
        try:
            answer = self._route(environ)
        except Exception as error:
            answer = self._refused(error, identity)
        headers = [
            *answer.headers,
            ("Content-Length", str(len(answer.body))),
            ("X-Request-Id", identity),
        ]
        start_response(f"{answer.status} {_phrase(answer.status)}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]

    def _route(self, environ: WSGIEnvironment) -> _Answer:
        # As it was written, where the server tells: /%70ing is no other way to say /ping.
        path = str(environ.get("RAW_URI") or environ["PATH_INFO"]).partition("?")[0]
        given = str(environ.get("HTTP_AUTHORIZATION") or "")
        self._guard.check(path, [given.encode("latin-1")] if given else [])
        if path not in self._routes:
            raise HTTPRefused(
                "path-unknown", f"Expected one of the paths {', '.join(self._routes)}."
            )
        methods, answer = self._routes[path]
        if environ["REQUEST_METHOD"] not in methods.split(", "):
            raise HTTPRefused(
                "method-not-allowed", f"Expected one of the methods {methods}.", allow=methods
            )
        return answer(environ)

    def _ping(self, environ: WSGIEnvironment) -> _Answer:
        if self._has_failed:
            raise HTTPRefused("not-ready", "Expected a model, but it is damaged. The log says how.")
        return _Answer(200, [], b"")

    def _execution_parameters(self, environ: WSGIEnvironment) -> _Answer:
        said = self._hosted.execution_parameters()
        parameters = execution_parameters_of(self._settings) if said is None else dict(said)
        return _Answer(200, [_JSON], json.dumps(parameters).encode())

    def _invocations(self, environ: WSGIEnvironment) -> _Answer:
        check_encoding(environ.get("HTTP_CONTENT_ENCODING"))
        body = _body_of(environ, self._settings.max_body_bytes)
        attributes = environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES")
        content_type = environ.get("CONTENT_TYPE") or None
        reply = _invoke(self._hosted, body, content_type, environ.get("HTTP_ACCEPT"), attributes)
        headers = [("Content-Type", reply.content_type), *reply.headers]
        if attributes and isinstance(self._hosted, Model):
            foreign = foreign_attributes(attributes)
            headers += [(_ATTRIBUTES, foreign)] if foreign else []
        kept = [(name, text) for name, text in headers if name.lower() not in _SERVERS_OWN]
        return _Answer(reply.status, kept, reply.body)

    def _refused(self, error: Exception, identity: str) -> _Answer:
        answer = refusal(error)
        if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            LOG.error("fault", exc_info=error, extra={"facts": {"id": identity}})
            self._has_failed |= answer.code.startswith(("artifact-", "storage-"))
        headers = [(name.decode().title(), text.decode()) for name, text in answer.headers]
        headers = [(name, text) for name, text in headers if name != "Content-Length"]
        return _Answer(answer.status, headers, answer.body)


def _body_of(environ: WSGIEnvironment, most: int) -> bytes:
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared.isdecimal() and int(declared) > most:
        _drain(environ["wsgi.input"])
        raise body_too_large(most)
    if not declared and not environ.get("wsgi.input_terminated"):
        return b""
    wanted = int(declared) if declared.isdecimal() else most + 1
    body: bytes = environ["wsgi.input"].read(wanted)
    if len(body) > most:
        _drain(environ["wsgi.input"])
        raise body_too_large(most)
    if declared and len(body) < wanted:
        raise HTTPRefused("request-framing", f"Expected a body of {wanted} bytes, got {len(body)}.")
    return body


def _drain(stream: InputStream) -> None:
    """Read what is too long, within reason: many clients listen only once they have sent it all."""
    for _ in range(_DRAINED_BYTES // _DRAINED_AT_ONCE):
        if not stream.read(_DRAINED_AT_ONCE):
            return


def _invoke(
    hosted: Hosted,
    body: bytes,
    content_type: str | None,
    accept: str | None,
    attributes: str | None,
) -> Reply:
    if not isinstance(hosted, Model):
        return hosted.invoke(body, content_type, accept, attributes)
    query = hosted.read(body, content_type, accept, attributes)
    if len(query) <= _FEW and query.is_plain:
        found = _meeting(hosted).find(query) if _has_greenlets() else hosted.find([query])[0]
        return hosted.write(query, found)
    return _aside(lambda: hosted.write(query, hosted.find([query])[0]))


def _has_greenlets() -> bool:
    """Tell whether the worker's threads are gevent's, which take turns where they say so."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


class _Meeting:
    """Requests of one worker's greenlets, which are searched for together.

    A greenlet whose client has sent the next request already would go on with that one, and the
    others would wait: here each gives way, so that all that have arrived are in the next search.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._waiting: list[tuple[Query, Any]] = []
        self._is_called = False

    def find(self, query: Query) -> Found:
        """Return what a query finds."""
        from gevent import spawn
        from gevent.event import AsyncResult

        result = AsyncResult()
        self._waiting.append((query, result))
        if not self._is_called:
            self._is_called = True
            spawn(self._search)  # which begins after all that have arrived
        found: Found | BaseException = result.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def _search(self) -> None:
        try:
            while self._waiting:
                self._gather()
                those, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                found = find_each(self._model, [query for query, _ in those])
                for (_, result), one in zip(those, found, strict=True):
                    result.set(one)
        finally:
            self._is_called = False

    def _gather(self) -> None:
        """Let everything in that has arrived.

        Of several workers, gunicorn lets each take but one connection in a round of its loop, so
        that after rounds with a search in each, many would wait for theirs.
        """
        from gevent import Timeout, idle

        with Timeout(_GATHERING_S, False):
            idle()


@cache
def _meeting(model: Model) -> _Meeting:
    return _Meeting(model)


def _aside(work: Callable[[], T]) -> T:
    """Do what takes long in a real thread, if the worker's others are greenlets that would wait."""
    if not _has_greenlets():
        return work()
    result: T = _thread().apply(work)
    return result


@cache
def _thread() -> Any:
    """Return a pool of one thread: the cores are shared out among the workers."""
    from gevent.threadpool import ThreadPool

    return ThreadPool(1)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # a script may answer with any number
        return "Unknown"


def open_application(environ: Mapping[str, str]) -> Application:
    """Open and warm up what a container is to host.

    Parameters
    ----------
    environ : mapping of str to str
        Usually ``os.environ``; see `kneighbors.server.variables` and
        `kneighbors.sagemaker.hosting.open_hosted`.

    Raises
    ------
    KNeighborsError
        Whatever keeps the model from being opened, or is wrong about a variable.
    """
    settings = container_settings(environ)
    logs.set_up(settings.log_level, settings.log_format)
    set_blas_threads(settings.blas_thread_count)
    hosted = open_hosted(
        settings.model,
        environ,
        limits=settings.limits,
        default_n_neighbors=settings.n_neighbors or None,
    )
    hosted.warm_up()
    return Application(hosted, settings)


@cache
def _main() -> Application:
    try:
        return open_application(os.environ)
    except KNeighborsError as error:
        sys.stderr.write("".join(logs.script_trace(error)) + f"error: [{error.code}] {error}\n")
        raise SystemExit(_BOOT_FAILED) from error


def __getattr__(name: str) -> Application:
    # gunicorn takes `main` when a worker begins. Nobody else who imports this opens a model.
    if name == "main":
        return _main()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
