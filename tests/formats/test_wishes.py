"""Queries by example and their parameters: understood, or refused by code and place."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import KNeighborsError
from kneighbors.formats import JSON, JSONLINES, Answer, decode
from kneighbors.formats.attributes import foreign_attributes, read_attributes
from kneighbors.formats.json import predictions
from kneighbors.formats.limits import Limits
from kneighbors.formats.strictjson import parse


def refused(body: Any, content_type: str = JSON) -> tuple[str, str | None]:
    """Return the code and the place of the refusal of a body."""
    text = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(KNeighborsError) as caught:
        decode(text.encode(), content_type)
    return caught.value.code, caught.value.where


def test_what_is_liked_may_be_written_in_every_way() -> None:
    likes = ["a", 7, [1, 2], {"id": "b", "weight": 2}, {"vector": [3, 4]}, {"terms": ["x", "y"]}]
    request = decode(json.dumps({"like": likes, "dislike": ["c"], "terms": ["z"]}).encode(), JSON)
    assert request.wishes is not None
    (wish,) = request.wishes
    assert ["a", 7, None, "b", None, None, None] == [one.id for one in wish.like]
    assert [1, 1, 1, 2, 1, 1, 1] == [one.weight for one in wish.like]
    vectors = [None if one.vector is None else one.vector.tolist() for one in wish.like]
    assert [None, None, [1, 2], None, [3, 4], None, None] == vectors
    assert [None] * 5 + [("x", "y"), ("z",)] == [one.terms for one in wish.like]
    assert ["$.like[0]", "$.like[1]"] == [one.where for one in wish.like[:2]]
    assert ["c"] == [one.id for one in wish.dislike]


def test_no_terms_are_no_example() -> None:
    request = decode(b'{"terms": []}', JSON)
    assert request.wishes is not None
    assert () == request.wishes[0].like


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        ({"like": "a"}, "body-type", "$.like"),
        ({"like": 3}, "body-type", "$.like"),
        ({"like": [None]}, "body-type", "$.like[0]"),
        ({"like": [True]}, "body-type", "$.like[0]"),
        ({"like": [1.5]}, "body-type", "$.like[0]"),
        ({"like": [[1, "a"]]}, "body-type", "$.like[0][1]"),
        ({"like": ["a", {}]}, "body-field-missing", "$.like[1]"),
        ({"like": [{"weight": 1}]}, "body-field-missing", "$.like[0]"),
        ({"like": [{"id": "a", "vector": [1]}]}, "body-field-conflict", "$.like[0]"),
        ({"like": [{"ident": "a"}]}, "body-field-unknown", "$.like[0]"),
        ({"like": [{"id": 1.5}]}, "body-id", "$.like[0].id"),
        ({"like": [{"vector": "a"}]}, "body-type", "$.like[0].vector"),
        ({"like": [{"vector": 3}]}, "body-type", "$.like[0].vector"),
        ({"like": [{"terms": []}]}, "body-no-queries", "$.like[0].terms"),
        ({"like": [{"terms": "a"}]}, "body-type", "$.like[0].terms"),
        ({"like": [{"terms": [3]}]}, "body-type", "$.like[0].terms[0]"),
        ({"like": [{"id": "a", "weight": "2"}]}, "parameter-type", "$.like[0].weight"),
        ({"like": [{"id": "a", "weight": True}]}, "parameter-type", "$.like[0].weight"),
        ({"like": [{"id": "a", "weight": -1}]}, "parameter-range", "$.like[0].weight"),
        ({"like": [{"id": "a", "weight": 10**400}]}, "body-number", "$.like[0].weight"),
        ({"like": [{"id": "a", "weight": 10**309}]}, "parameter-range", "$.like[0].weight"),
        ('{"like": [NaN]}', "body-number", "$.like[0]"),
        ('{"like": NaN}', "body-number", "$.like"),
        ('{"like": [{"id": "a", "weight": NaN}]}', "body-number", "$.like[0].weight"),
        ('{"like": [{"id": "a", "id": "b"}]}', "body-name-doubled", "$.like[0]"),
        ({"terms": ["a", 3]}, "body-type", "$.terms[1]"),
        ({"terms": [""], "dislike": {}}, "body-type", "$.dislike"),
        ({"instances": [{"like": ["a"], "k": 3}]}, "body-field-unknown", "$.instances[0]"),
        ({"instances": [{"like": ["a"]}, [1]]}, "body-field-conflict", "$.instances[1]"),
        ({"instances": [[1], {"like": ["a"]}]}, "body-field-conflict", "$.instances[1]"),
        ({"like": ["a"], "instances": [[1]]}, "body-field-conflict", "$"),
    ],
)
def test_what_is_no_example_is_refused_by_its_place(body: Any, code: str, where: str) -> None:
    assert (code, where) == refused(body)


def test_a_line_may_be_a_query_by_example() -> None:
    request = decode(b'{"like": ["a"]}\n{"terms": ["b"]}\n', JSONLINES)
    assert request.wishes is not None
    assert 2 == len(request.wishes)
    code = refused('{"like": ["a"]}\n[1]\n', JSONLINES)
    assert ("body-field-conflict", "line 2, $") == code


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("diversity", 1.5, "parameter-range"),
        ("diversity", "a", "parameter-type"),
        ("diversity", 10**309, "parameter-range"),
        ("min_distance", None, "parameter-type"),
        ("max_per_group", 0, "parameter-range"),
        ("max_per_group", 1.0, "parameter-type"),
        ("group_by", "", "parameter-type"),
        ("group_by", 3, "parameter-type"),
        ("exclude_list", [], "parameter-type"),
        ("exclude_list", [3], "parameter-type"),
        ("include_list", "", "parameter-type"),
        ("strategy", 3, "parameter-type"),
        ("strategy", "median", "parameter-range"),
        ("unknown_terms", "keep", "parameter-range"),
        ("explain", 1, "parameter-type"),
        ("filter", [], "parameter-type"),
        ("radius", 10**309, "radius-range"),
    ],
)
def test_a_parameter_of_another_type_or_beyond_is_refused(name: str, value: Any, code: str) -> None:
    assert (code, f"$.{name}") == refused({"instances": [[1]], name: value})


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"a": NaN}', "$.filter.a"),
        ('{"a": [1, {"b": -Infinity}]}', "$.filter.a[1].b"),
        ('{"a": [[1], [2, 1e999]]}', "$.filter.a[1][1]"),
        ('{"a": {}, "b": {"c": [], "d": [NaN]}}', "$.filter.b.d[0]"),
    ],
)
def test_what_is_never_a_value_is_found_wherever_a_filter_holds_it(text: str, where: str) -> None:
    assert ("body-number", where) == refused(f'{{"instances": [[1]], "filter": {text}}}')


def test_a_filter_is_handed_on_as_it_is() -> None:
    wanted = {"all": [{"price": {"gte": 2.5}}, {"name": ["a", None, True, 3]}, {}]}
    request = decode(json.dumps({"instances": [[1]], "filter": wanted}).encode(), JSON)
    assert wanted == request.parameters.filter


def test_parameters_come_in_the_header_too() -> None:
    header = (
        "diversity=0.5;strategy=best_score;explain=true;max_per_group=2;group_by=na%6De;"
        'exclude_list=a,b;include_list=c;filter={"price": 3};min_distance=1e-3;kneighbors.k=4'
    )
    assert {
        "diversity": 0.5,
        "strategy": "best_score",
        "explain": True,
        "max_per_group": 2,
        "group_by": "name",
        "exclude_list": ("a", "b"),
        "include_list": ("c",),
        "filter": {"price": 3},
        "min_distance": 1e-3,
        "n_neighbors": 4,
    } == read_attributes(header, Limits())
    assert {} == read_attributes(None, Limits())
    assert "trace=1; x" == foreign_attributes("trace=1;k=3; x").replace(";", "; ")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("diversity=x", "parameter-type"),
        ("k=3;kneighbors.n_neighbors=4", "parameter-conflict"),
        ("k=3;k=4", "attributes-malformed"),
        ("kneighbors.trace=1", "parameter-unknown"),
        ("group_by=%ff", "attributes-malformed"),
        ("group_by=%g", "attributes-malformed"),
        ("filter={", "body-json"),
    ],
)
def test_what_is_wrong_in_the_header_is_refused(header: str, code: str) -> None:
    with pytest.raises(KNeighborsError) as caught:
        read_attributes(header, Limits())
    assert code == caught.value.code


def test_an_answer_says_what_is_known_of_each_query() -> None:
    answer = Answer(
        np.array([[0.5], [0.25]]),
        np.array([[1], [2]]),
        approximate=True,
        reasons=["filter", None],
        details=["two rows pass", None],
        explanations=[[{"like": "a"}], [{"like": "b"}]],
    )
    first, second = predictions(answer)
    assert {
        "distances": [0.5],
        "indices": [1],
        "ids": [1],
        "approximate": True,
        "n_found": 1,
        "reason": "filter",
        "detail": "two rows pass",
        "explanations": [{"like": "a"}],
    } == first
    assert "reason" not in second


def test_a_nesting_that_only_python_finds_too_deep_is_refused() -> None:
    # Brackets in texts are none.
    with pytest.raises(KNeighborsError) as caught:
        parse('["' + "[" * 100 + '", ' + "[" * 100_000)
    assert "body-nesting" == caught.value.code
