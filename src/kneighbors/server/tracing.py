"""Traces by OpenTelemetry, where its variables ask for them; else nothing of it is loaded.

A request's spans are made when it has been answered, from the times that are taken anyway, so that
requests that are not sampled cost next to nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from kneighbors.errors import missing_extra
from kneighbors.server.families import STAGES
from kneighbors.server.logs import LOG

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from kneighbors.server.lifecycle import Endpoint

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"
_CONTEXT_HEADERS = (b"traceparent", b"tracestate")
#: What watches over the server is not worth a trace.
_UNTRACED = frozenset({"ping", "healthz", "metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
#: In the order in which most of it happens.
_ORDER = ("body", "read", "queue", "search", "write")
_FLUSH_S = 2.0


class Spent(Protocol):
    """What is known of a request when it has been answered.

    Attributes
    ----------
    scope : mapping
        Of ASGI.
    route : str
        The path's name, as metrics have it.
    status : int
    code : str or None
        Of the error, if it was one.
    id : bytes
        The request's.
    begin : float
        As of `time.perf_counter`.
    stages : sequence of float
        Seconds of each of `kneighbors.server.families.STAGES`; empty where there were none.
    queries : int
    endpoint : Endpoint
        What answered.
    """

    scope: dict[str, Any]
    route: str
    status: int
    code: str | None
    id: bytes
    begin: float
    stages: tuple[float, ...]
    queries: int
    endpoint: Endpoint


class Tracing:
    """Makes spans of requests, and sends them in a thread of its own.

    Parameters
    ----------
    provider : TracerProvider
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("kneighbors")
        self._propagator = TraceContextTextMapPropagator()

    def request(self, spent: Spent) -> str | None:
        """Make the spans of a request that has just been answered.

        Returns
        -------
        str or None
            The id of its trace, if that is recorded.
        """
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        if spent.route in _UNTRACED:
            return None
        now = time.time_ns()
        start = now - _ns(time.perf_counter() - spent.begin)
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in spent.scope["headers"]
            if name in _CONTEXT_HEADERS
        }
        method = spent.scope["method"] if spent.scope["method"] in _METHODS else "_OTHER"
        span = self._tracer.start_span(
            f"{method} {spent.route}",
            self._propagator.extract(carrier) if carrier else None,
            SpanKind.SERVER,
            _attributes(spent, method),
            start_time=start,
        )
        if not span.is_recording():
            return None
        if spent.status >= 500:
            span.set_status(Status(StatusCode.ERROR, spent.code))
        inside = set_span_in_context(span)
        seconds = dict(zip(STAGES, spent.stages, strict=False))
        for stage in _ORDER:
            if stage in seconds:
                part = self._tracer.start_span(stage, inside, start_time=start)
                start += _ns(seconds[stage])
                part.end(start)
        span.end(now)
        return format(span.get_span_context().trace_id, "032x")

    def stop(self) -> None:
        """Send what is left, for two seconds at most."""
        # Whoever collects them may be gone, and it would be tried for long.
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(_FLUSH_S)


def tracing_of(environ: Mapping[str, str] = os.environ) -> Tracing | None:
    """Return what makes traces, as OpenTelemetry's variables ask for it; None if they do not.

    Parameters
    ----------
    environ : mapping of str to str
        An endpoint in it asks for traces; everything else OpenTelemetry reads in the process's own.

    Notes
    -----
    To be called in the process that answers, for it starts a thread. Where the extra ``tracing``
    is missing, the log says so: the variables may be there for another program.
    """
    if not any(environ.get(name, "").strip() for name in _ENDPOINTS):
        return None
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() not in ("", "otlp"):
        return None
    try:
        return Tracing(_provider(environ))
    except ModuleNotFoundError as error:
        missing = missing_extra((error.name or "opentelemetry").partition(".")[0], "tracing")
        LOG.warning("OpenTelemetry's variables ask for traces, but there are none: %s", missing)
        return None


def _provider(environ: Mapping[str, str]) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from kneighbors import __version__

    asked = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _SPOKEN)
    if asked != _SPOKEN:
        LOG.warning("traces are sent as %s; %.40s is not spoken", _SPOKEN, asked)
    own: dict[str, Any] = {"service.version": __version__, "process.pid": os.getpid()}
    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    if not named:
        own["service.name"] = "kneighbors"
    provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _attributes(spent: Spent, method: str) -> dict[str, str | int]:
    known: dict[str, str | int] = {
        "http.request.method": method,
        "http.response.status_code": spent.status,
        "kneighbors.route": spent.route,
        "kneighbors.request_id": spent.id.decode(),
        "kneighbors.generation": spent.endpoint.facts.get("generation", ""),
    }
    if spent.code is not None:
        known["error.type"] = spent.code
    if spent.stages:
        known["kneighbors.queries"] = spent.queries
    return known


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
