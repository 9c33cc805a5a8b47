"""Traces: where they are asked for, a request and what its time went to; else nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kneighbors.server.tracing import tracing_of
from support.server_collector import Collector, attributes
from support.server_process import ROOT, ServerProcess

VECTOR = json.dumps([1.0] * 16).encode()
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "mine"}
JSON = {"content-type": "application/json"}


def test_a_request_is_a_span_with_a_span_for_each_stage(artifact: Path, tmp_path: Path) -> None:
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with ServerProcess(
            tmp_path, artifact, environment=variables, workers=2, log_level="info"
        ) as server:
            assert 200 == server.ping()
            assert 200 == server.request("POST", "/invocations", VECTOR, JSON | CALLER)[0]
            assert 400 == server.request("POST", "/invocations", b"[", JSON)[0]
            assert 404 == server.request("GET", "/nothing?secret=1")[0]
            assert 0 == server.stop()  # which sends what is left
            output = server.output()
    by_name: dict[str, list[Any]] = {}
    for resource, span in collector.spans:
        assert "kneighbors" == resource["service.name"]
        by_name.setdefault(span.name, []).append(span)
    good, bad = sorted(
        by_name["POST invocations"], key=lambda s: attributes(s)["http.response.status_code"]
    )
    assert (TRACE, PARENT) == (good.trace_id.hex(), good.parent_span_id.hex())
    known = attributes(good)
    assert ("POST", 200, "mine", 1) == tuple(
        known[name]
        for name in (
            "http.request.method",
            "http.response.status_code",
            "kneighbors.request_id",
            "kneighbors.queries",
        )
    )
    assert 12 == len(known["kneighbors.generation"])
    assert ("body-json", 400) == tuple(
        attributes(bad)[name] for name in ("error.type", "http.response.status_code")
    )
    assert TRACE != bad.trace_id.hex()
    for name in ("body", "read", "queue", "search", "write"):
        (part,) = by_name[name]
        assert (good.trace_id, good.span_id) == (part.trace_id, part.parent_span_id)
        assert good.start_time_unix_nano <= part.start_time_unix_nano <= part.end_time_unix_nano
    assert ["GET other"] == [name for name in by_name if name.startswith("GET")]
    assert f'trace_id="{TRACE}"' in output or f"trace_id={TRACE}" in output
    assert not any("secret" in str(span) for _, span in collector.spans)


def test_what_is_not_sampled_is_not_sent(artifact: Path, tmp_path: Path) -> None:
    with Collector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            "OTEL_SERVICE_NAME": "wines",
        }
        with ServerProcess(tmp_path, artifact, environment=variables, workers=1) as server:
            for _ in range(3):
                assert 200 == server.request("POST", "/invocations", VECTOR, JSON)[0]
            # Its caller's trace is sampled.
            assert 200 == server.request("POST", "/invocations", VECTOR, JSON | CALLER)[0]
            assert 0 == server.stop()
    assert {TRACE} == {span.trace_id.hex() for _, span in collector.spans}
    assert {"wines"} == {resource["service.name"] for resource, _ in collector.spans}


def test_a_collector_that_is_gone_delays_nothing(artifact: Path, tmp_path: Path) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with ServerProcess(tmp_path, artifact, environment=variables, workers=1) as server:
        for _ in range(3):
            assert 200 == server.request("POST", "/invocations", VECTOR, JSON)[0]
        assert 0 == server.stop(seconds=15)
        assert "Traceback" not in server.out


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_traced_unless_it_is_asked_for(environ: dict[str, str]) -> None:
    assert tracing_of(environ) is None


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


def test_nothing_of_it_is_loaded_unless_it_is_asked_for() -> None:
    printed = run(
        "import sys\n"
        "from kneighbors.server.app import create_app\n"
        "from kneighbors.server.settings import Settings\n"
        "create_app(Settings())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    assert "[]\n" == printed


def test_without_the_extra_the_log_says_how_to_get_it() -> None:
    printed = run(
        "import logging, sys\n"
        "logging.basicConfig()\n"
        "sys.modules['opentelemetry'] = None\n"
        "from kneighbors.server.tracing import tracing_of\n"
        "print(tracing_of({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:9'}))"
    )
    assert "None\n" in printed
    assert "pip install 'kneighbors[tracing]'" in printed
