from __future__ import annotations

from typing import Any

import pytest

from kneighbors.errors import KNeighborsError, ParameterRefused
from kneighbors.formats import Limits, decode
from kneighbors.formats.attributes import MAX_LENGTH, read_attributes

LIMITS = Limits(max_ids=5)
IDS = frozenset({"exclude_ids"})


@pytest.mark.parametrize(
    ("header", "given"),
    [
        (None, {}),
        ("", {}),
        (";;", {}),
        ("k=20", {"n_neighbors": 20}),
        ("n_neighbors=20;", {"n_neighbors": 20}),
        (" k = 20 ; exclude_self = true ", {"n_neighbors": 20, "exclude_self": True}),
        ("k=20;n_neighbors=20", {"n_neighbors": 20}),
        ("kneighbors.k=20", {"n_neighbors": 20}),
        ("exclude_self=True", {"exclude_self": True}),
        ("exclude_self=false", {"exclude_self": False}),
        ("radius=0.5", {"radius": 0.5}),
        ("radius=-1e-3", {"radius": -0.001}),
        ("radius=2", {"radius": 2.0}),
        ("include_items=true", {"include_items": True}),
        ("include_items=name,price", {"include_items": ("name", "price")}),
        ('include_items=["true"]', {"include_items": ("true",)}),
        ("include_items=ch%C3%A2teau", {"include_items": ("château",)}),
        ("exclude_ids=a,b", {"exclude_ids": ("a", "b"), "ids_are_text": IDS}),
        ("exclude_ids=12, 13", {"exclude_ids": ("12", "13"), "ids_are_text": IDS}),
        (
            "exclude_ids=a%2Cb,c%3Bd,100%25",
            {"exclude_ids": ("a,b", "c;d", "100%"), "ids_are_text": IDS},
        ),
        ("exclude_ids=a+b", {"exclude_ids": ("a+b",), "ids_are_text": IDS}),
        ("exclude_ids=a=b", {"exclude_ids": ("a=b",), "ids_are_text": IDS}),
        ("exclude_ids=", {"exclude_ids": (), "ids_are_text": IDS}),
        ('exclude_ids=["a,b", 12, "c\\u003bd"]', {"exclude_ids": ("a,b", 12, "c;d")}),
    ],
)
def test_parameters_are_read(header: str | None, given: dict[str, Any]) -> None:
    assert given == read_attributes(header, LIMITS)


@pytest.mark.parametrize(
    "header",
    [
        "c000b4f9-df62-4c85-a0bf-7c525f9104a4",
        "trace-id=1-67891233-abcdef012345678912345678",
        "Root=1-67891233-abcdef;Parent=463ac35c9f6413ad;Sampled=1",
        "tfs-model-name=half_plus_three,tfs-method=predict",
        "accept_eula=true",
        "a;b;c",
        "=5",
        "x=%%%;y={};z=[",
        "~!@#$^&*()_+|",
    ],
)
def test_what_others_put_there_is_left_alone(header: str) -> None:
    assert read_attributes(header, LIMITS) == {}
    assert read_attributes(f"{header};k=3", LIMITS) == {"n_neighbors": 3}
    assert decode(b"[1, 2]", "application/json", header).n_queries == 1


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("k=0", "n-neighbors-range"),
        ("k=-3", "n-neighbors-range"),
        ("k=1.5", "n-neighbors-type"),
        ("k=1e1", "n-neighbors-type"),
        ("k=ten", "n-neighbors-type"),
        ("k=", "n-neighbors-type"),
        ("k=1_0", "n-neighbors-type"),
        ("k=" + "9" * 20, "n-neighbors-type"),
        ('k="10"', "n-neighbors-type"),
        ("radius=nan", "radius-type"),
        ("radius=inf", "radius-type"),
        ("radius=1e9999", "radius-range"),
        ("radius=0x1p3", "radius-type"),
        ("exclude_self=1", "exclude-self-type"),
        ("exclude_self=yes", "exclude-self-type"),
        ("exclude_self=", "exclude-self-type"),
        ("include_items=", "include-items-type"),
        ("include_items=[1]", "include-items-type"),
        ("include_items=[]", "include-items-type"),
        ("exclude_ids=a,,b", "attributes-malformed"),
        ("exclude_ids=a%2", "attributes-malformed"),
        ("exclude_ids=%FF", "attributes-malformed"),
        ("exclude_ids=[", "body-json"),
        ("exclude_ids=[NaN]", "body-number"),
        ("exclude_ids=[[1]]", "body-id"),
        ("exclude_ids=" + "[" * 1000, "body-json"),
        ("exclude_ids=1,2,3,4,5,6", "ids-too-many"),
        ("k=3;k=3", "attributes-malformed"),
        ("k=3;n_neighbors=4", "parameter-conflict"),
        ("n_neighbours=3", "parameter-unknown"),
        ("K=3", "parameter-unknown"),
        ("exclude-self=true", "parameter-unknown"),
        ("kneighbors.trace=3", "parameter-unknown"),
        ("kneighbors.=3", "parameter-unknown"),
        ("k=3\n", "attributes-malformed"),
        ("k=3\x00", "attributes-malformed"),
        ("exclude_ids=é", "attributes-malformed"),
        ("x" * (MAX_LENGTH + 1), "attributes-too-long"),
    ],
)
def test_what_is_ours_must_be_right(header: str, code: str) -> None:
    with pytest.raises(KNeighborsError) as caught:
        read_attributes(header, LIMITS)
    accepted = {code, "body-nesting"} if header.endswith("[[[[") else {code}
    assert caught.value.code in accepted
    assert len(str(caught.value)) < 600


def test_a_header_of_the_largest_length_is_read() -> None:
    header = "k=3;" + "x" * (MAX_LENGTH - 4)
    assert read_attributes(header, LIMITS) == {"n_neighbors": 3}


def test_a_conflict_with_the_body_is_refused() -> None:
    with pytest.raises(ParameterRefused) as caught:
        decode(b'{"ids": [1], "k": 3}', "application/json", "k=4")
    assert caught.value.code == "parameter-conflict"
    assert caught.value.where == "X-Amzn-SageMaker-Custom-Attributes"
