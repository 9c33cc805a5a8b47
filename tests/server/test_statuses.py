"""Every error that can be an answer has a status and a place in the documents."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kneighbors.errors import (
    ArrayRefused,
    ArtifactError,
    BodyRefused,
    KNeighborsError,
    StorageError,
)
from kneighbors.server.refusals import HTTPRefused, refusal
from kneighbors.server.statuses import SERVER_CODES, STATUS_OF_CODE, status_of

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "kneighbors"

#: What a request passes through on its way.
ON_THE_WAY = (
    *sorted((SOURCE / "formats").glob("*.py")),
    *(SOURCE / "sagemaker" / f"{name}.py" for name in ("model", "writing")),
    *(SOURCE / "recommend").glob("*.py"),
    SOURCE / "search" / "gate.py",
    SOURCE / "items" / "catalog.py",
    SOURCE / "items" / "ids.py",
    SOURCE / "artifact" / "rows.py",
)
#: Raised by these files, but not by a request: settings, the making of a catalogue, and what only
#: Python can ask for.
NOT_BY_REQUESTS = {"limit-range", "metric-unknown", "encoder-missing", "query-conflict"} | {
    *("ids-column", "ids-count", "ids-doubled", "ids-null", "ids-range", "ids-text", "ids-type"),
    *("items-column", "items-count", "items-file", "items-type"),
}


def codes_in(path: Path) -> Iterator[str]:
    """Yield the codes of errors that a file makes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name.endswith(("Refused", "Error", "Oddity")):
            first = node.args[0]
            for one in ast.walk(first):
                if isinstance(one, ast.Constant) and isinstance(one.value, str):
                    yield one.value


def test_every_code_that_a_request_can_meet_has_a_status() -> None:
    found = {code for path in ON_THE_WAY for code in codes_in(path) if "-" in code.strip("-")}
    assert len(found) > 30
    assert set() == found - set(STATUS_OF_CODE) - NOT_BY_REQUESTS


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BodyRefused("content-type-unsupported", ""), 415),
        (BodyRefused("accept-unsupported", ""), 406),
        (BodyRefused("accept-ragged", ""), 406),
        (BodyRefused("body-too-large", ""), 413),
        (BodyRefused("a-new-code", ""), 400),
        (ArrayRefused("array-not-finite", ""), 400),
        (ArtifactError("artifact-damaged", ""), 500),
        (StorageError("storage-forbidden", ""), 500),
        (HTTPRefused("path-unknown", ""), 404),
        (HTTPRefused("overloaded", ""), 503),
    ],
)
def test_an_error_has_the_status_of_its_code_or_of_its_class(
    error: KNeighborsError, status: int
) -> None:
    assert status == status_of(error)


@pytest.mark.parametrize(
    "error",
    [
        ArtifactError("artifact-damaged", "secret", where="secret", hint="secret"),
        StorageError("storage-failed", "secret", where="secret"),
        ValueError("secret"),
        RecursionError("secret"),
    ],
)
def test_a_fault_of_ours_tells_the_client_nothing(error: Exception) -> None:
    answer = refusal(error)
    assert 500 == answer.status
    assert b"secret" not in answer.body


def test_a_refusal_tells_what_was_expected_where_and_what_to_do() -> None:
    error = BodyRefused("body-json", "Expected JSON.", where="byte 7", hint="Mend it.")
    facts = json.loads(refusal(error).body)["error"]
    assert {"code": "body-json", "message": "Expected JSON. Mend it.", "where": "byte 7"} == facts


def test_a_long_message_is_cut() -> None:
    body = refusal(BodyRefused("body-json", "x" * 100_000, where="y" * 100_000)).body
    assert len(body) < 5000


def test_any_text_becomes_ascii() -> None:
    body = refusal(BodyRefused("body-id", "\ud800 \r\n \u202e é", where="\0")).body
    assert body.isascii()
    assert 1 == body.count(b"\n")


def test_memory_that_runs_out_is_a_reason_to_try_later() -> None:
    answer = refusal(MemoryError())
    assert (503, "memory-exhausted") == (answer.status, answer.code)
    assert (b"retry-after", b"1") in answer.headers


def test_the_reference_lists_every_code_of_the_server() -> None:
    text = (ROOT / "docs" / "reference" / "http-server.md").read_text()
    for code, (status, meaning) in SERVER_CODES.items():
        assert f"| `{code}` | {status} | {meaning} |" in text
