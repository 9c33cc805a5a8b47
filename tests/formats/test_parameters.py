from __future__ import annotations

from typing import Any

import pytest

from kneighbors.errors import KNeighborsError, ParameterRefused
from kneighbors.formats import Limits
from kneighbors.formats.parameters import NAMES, join, read_parameters
from kneighbors.formats.strictjson import parse

LIMITS = Limits()


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("{}", {}),
        ('{"k": 1}', {"n_neighbors": 1}),
        ('{"n_neighbors": 10, "k": 10}', {"n_neighbors": 10}),
        ('{"radius": 0}', {"radius": 0.0}),
        ('{"radius": -0.5}', {"radius": -0.5}),  # the gate knows whether the metric allows it
        ('{"exclude_self": false}', {"exclude_self": False}),
        ('{"exclude_ids": []}', {"exclude_ids": ()}),
        ('{"exclude_ids": ["a", 1]}', {"exclude_ids": ("a", 1)}),
        ('{"include_items": true}', {"include_items": True}),
        ('{"include_items": ["b", "a", "b"]}', {"include_items": ("b", "a")}),
    ],
)
def test_parameters_are_read(text: str, given: dict[str, Any]) -> None:
    assert given == read_parameters(parse(text).items(), "$", LIMITS)


WRONG = [
    "null",
    '"1"',
    "true",
    "1.5",
    "[1]",
    "{}",
    "NaN",
    "-Infinity",
    "1e400",
    "9" * 400,
    '{"a":1,"a":2}',
]
RIGHT = {
    ("radius", "1.5"),
    ("exclude_self", "true"),
    ("exclude_ids", "[1]"),
    ("include_items", "true"),
    ("include_ids", "[1]"),
    ("min_distance", "1.5"),
    ("fold_within", "1.5"),
    ("filter", "{}"),
    ("explain", "true"),
    ("allow_partial", "true"),
    ("exclude_list", '"1"'),
    ("include_list", '"1"'),
    ("group_by", '"1"'),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", WRONG, ids=[text[:20] for text in WRONG])
def test_a_value_of_another_type_is_refused_at_its_path(name: str, value: str) -> None:
    if (name, value) in RIGHT:
        assert read_parameters([(name, parse(value))], "$", LIMITS)
        return
    with pytest.raises(KNeighborsError) as caught:
        read_parameters([(name, parse(value))], "$.parameters", LIMITS)
    assert (caught.value.where or "").startswith(f"$.parameters.{name}")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("n_neighbours", "n_neighbors"), ("K", "k"), ("excludeSelf", "exclude_self"), ("top_k", None)],
)
def test_an_unknown_name_gets_the_nearest_spelling(name: str, meant: str | None) -> None:
    with pytest.raises(ParameterRefused) as caught:
        read_parameters([(name, 1)], "$", LIMITS)
    assert caught.value.code == "parameter-unknown"
    assert ("Did you mean" in (caught.value.hint or "")) == (meant is not None)
    assert meant is None or f"{meant!r}" in str(caught.value.hint)


def test_the_same_value_twice_is_no_conflict() -> None:
    assert join({"radius": 1.0}, {"radius": 1.0}, "the header") == {"radius": 1.0}


def test_two_values_are_refused_and_none_wins() -> None:
    with pytest.raises(ParameterRefused, match="got 3 and 4") as caught:
        join({"n_neighbors": 3}, {"n_neighbors": 4}, "the header")
    assert (caught.value.code, caught.value.where) == ("parameter-conflict", "the header")
