"""From an operation's name to its function, and what is said where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kneighbors.local import operations
from kneighbors.local.faults import Fault
from kneighbors.local.operations import operation, perform, plain
from kneighbors.local.plane import Plane
from kneighbors.local.starting import OPERATION_MODULES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "local.md"
PLANE = cast(Plane, SimpleNamespace())


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    monkeypatch.setattr(operations, "OPERATIONS", found)
    return found


def test_an_operation_gets_the_request_and_its_answer_is_json(registry: dict[str, Any]) -> None:
    @operation("DeleteModel")
    def delete(plane: Plane, request: dict[str, Any]) -> dict[str, Any]:
        return {"Name": request["ModelName"], "Time": datetime.fromtimestamp(5, UTC), "Gone": None}

    assert {"Name": "wines", "Time": 5.0} == perform(PLANE, "DeleteModel", {"ModelName": "wines"})


def test_an_operation_that_is_not_implemented_is_named(registry: dict[str, Any]) -> None:
    with pytest.raises(Fault, match="does not implement CreateDomain") as refused:
        perform(PLANE, "CreateDomain", {})
    assert "UnknownOperationException" == refused.value.code


def test_an_operation_that_aws_does_not_have_is_named(registry: dict[str, Any]) -> None:
    with pytest.raises(Fault, match="has no operation MakeWine"):
        perform(PLANE, "MakeWine", {})


def test_a_request_of_the_wrong_shape_does_not_reach_the_function(
    registry: dict[str, Any],
) -> None:
    registry["DeleteModel"] = lambda plane, request: pytest.fail("it was called")
    with pytest.raises(Fault, match="1 validation error detected: ") as refused:
        perform(PLANE, "DeleteModel", {})
    assert ("ValidationException", 400) == (refused.value.code, refused.value.status)


def test_members_without_a_value_are_left_out_at_every_depth() -> None:
    assert {"a": [{"b": 1}], "d": {}} == plain({"a": ({"b": 1, "c": None},), "d": {"e": None}})


def test_the_page_lists_the_operations_that_there_are() -> None:
    for name in OPERATION_MODULES:
        import_module(name)
    part = PAGE.read_text("utf-8").partition("## Operations\n")[2].partition("\n## ")[0]
    table = [line for line in part.splitlines() if line.startswith("| ")][1:]
    listed = [name for line in table for name in line.split("|")[2].strip().split(", ")]
    assert sorted(operations.OPERATIONS) == sorted(listed)
