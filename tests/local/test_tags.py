"""Tags on things that exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kneighbors.local.faults import Fault
from kneighbors.local.operations import perform
from kneighbors.local.plane import Plane
from kneighbors.local.tags import tags_of
from support.local_bare import bare_plane

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    plane = bare_plane(tmp_path)
    plane.records.create("model", "wines", {})
    yield plane
    plane.records.close()
    plane.objects.blobs.close()


@pytest.fixture
def call(plane: Plane) -> Call:
    """Perform an operation on the model ``wines``."""

    def perform_it(name: str, **members: Any) -> dict[str, Any]:
        return perform(plane, name, {"ResourceArn": plane.arn("model/wines"), **members})

    return perform_it


def pair(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}


def test_tags_are_set_overwritten_and_removed(call: Call) -> None:
    call("AddTags", Tags=[pair("team", "wine")])
    added = call("AddTags", Tags=[pair("team", "cheese"), pair("cost", "7")])
    expected = [pair("team", "cheese"), pair("cost", "7")]
    assert [expected, expected] == [added["Tags"], call("ListTags")["Tags"]]
    call("DeleteTags", TagKeys=["team", "other"])
    assert {"Tags": [pair("cost", "7")]} == call("ListTags")


def test_tags_come_in_pages(call: Call) -> None:
    call("AddTags", Tags=[pair(f"k{n:02d}", "v") for n in range(50)])
    assert 50 == len(call("ListTags")["Tags"])
    with pytest.raises(Fault, match="NextToken"):
        call("ListTags", NextToken="neither")


def test_a_thing_has_fifty_tags_at_most(call: Call, plane: Plane) -> None:
    call("AddTags", Tags=[pair(f"k{n}", "v") for n in range(50)])
    with pytest.raises(Fault, match="at most 50 tags"):
        call("AddTags", Tags=[pair("one-more", "v")])
    assert 50 == len(tags_of(plane, plane.arn("model/wines")))


@pytest.mark.parametrize(
    ("tags", "match"),
    [
        ([pair("aws:own", "v")], "reserved"),
        ([pair("team", "a"), pair("team", "b")], "Duplicate"),
    ],
)
def test_tags_that_break_a_rule_are_refused(
    call: Call, tags: list[dict[str, str]], match: str
) -> None:
    with pytest.raises(Fault, match=match):
        call("AddTags", Tags=tags)
    assert [] == call("ListTags")["Tags"]


def test_what_is_not_there_has_no_tags(call: Call, plane: Plane) -> None:
    with pytest.raises(Fault, match="Could not find the resource"):
        call("ListTags", ResourceArn=plane.arn("model/gone"))
    with pytest.raises(Fault, match="nothing that can be tagged"):
        call("ListTags", ResourceArn=plane.arn("device/x"))
