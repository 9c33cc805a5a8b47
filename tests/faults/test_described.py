"""Requests made from the OpenAPI document and against it: no 5xx, each answer as described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from fuzz.profiles import share
from kneighbors.artifact import save
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.counts import Counts
from support.server_process import ServerProcess
from support.wire_bodies import json_body, read_answer
from support.wire_model import IDS, ITEMS, corpus, expected

pytestmark = pytest.mark.faults

#: Requests to each operation, in a check; to that with bodies more.
EXAMPLES, WITH_BODY = 8, 60
X = corpus()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("described")
    index = ExactIndex.build(ArrayRows(X), "cosine")
    save(folder / "model", index, Catalog(len(X), IDS, pa.table(ITEMS)))
    with ServerProcess(folder, folder / "model", workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def operations(server: ServerProcess) -> dict[str, Any]:
    document = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    found: list[Any] = list(document.get_all_operations())
    return {one.ok().label: one.ok() for one in found}


def check(server: ServerProcess, operation: Any, mode: GenerationMode, count: int) -> None:
    """Send requests to an operation; count them, and what went wrong."""
    counts = Counts(f"{mode.value} by the OpenAPI document", "server")
    with requests.Session() as session:

        @settings(
            max_examples=count,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def every_answer_is_as_described(case: Any) -> None:
            counts.tried += 1
            response = case.call(session=session, timeout=60)
            counts.status_5xx += response.status_code >= 500
            # Whether a vector has the corpus's width, and an id is one of its own, no schema says.
            case.validate_response(response, excluded_checks=[positive_data_acceptance])

        try:
            every_answer_is_as_described()
        except BaseException:
            counts.wrong += 1
            raise
        finally:
            counts.tracebacks += "Traceback" in server.output()
            counts.record()
    assert (0, 0) == (counts.status_5xx, counts.tracebacks)


def test_what_the_document_allows_is_answered_as_it_says(
    server: ServerProcess, operations: dict[str, Any]
) -> None:
    assert "POST /invocations" in operations
    for label, operation in operations.items():
        count = share(WITH_BODY if label == "POST /invocations" else EXAMPLES)
        check(server, operation, GenerationMode.POSITIVE, count)


def test_what_the_document_forbids_is_refused(
    server: ServerProcess, operations: dict[str, Any]
) -> None:
    check(server, operations["POST /invocations"], GenerationMode.NEGATIVE, share(WITH_BODY))
    reply = server.request("POST", "/invocations", json_body(X[3]))
    ((_, rows),) = read_answer(reply[2], "application/json")
    assert expected(X, X[3], 10)[1] == rows
