"""Every limit of a request passes at its value, and is refused one above."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzz.greedy import MULTIPLES
from kneighbors.errors import KNeighborsError, ParameterRefused
from kneighbors.formats import CSV, JSON, JSONLINES, NPY, Limits, decode, negotiate
from kneighbors.formats.npy import MAX_HEADER_BYTES
from kneighbors.server.settings import Settings
from support.wire_bodies import csv_body, json_body, jsonlines_body, npy_body
from support.wire_model import make_model

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "limits.md"


def code(call: Any) -> str | None:
    """Return the code that a call is refused with, or None."""
    try:
        call()
    except KNeighborsError as error:
        return error.code
    return None


def test_the_default_body_is_what_sagemaker_lets_through() -> None:
    assert Limits().max_body_bytes == 6_291_456


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "10", None])
@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(Limits)])
def test_a_limit_is_a_positive_integer(name: str, value: Any) -> None:
    with pytest.raises(ParameterRefused, match=name) as caught:
        Limits(**{name: value})
    assert caught.value.code == "limit-range"


WRITERS = {NPY: npy_body, JSON: json_body, CSV: csv_body, JSONLINES: jsonlines_body}


@pytest.mark.parametrize("content_type", WRITERS)
def test_a_body_may_have_so_many_bytes_and_no_more(content_type: str) -> None:
    body = WRITERS[content_type](np.ones((3, 4)))
    assert decode(body, content_type, limits=Limits(max_body_bytes=len(body))).n_queries == 3
    short = Limits(max_body_bytes=len(body) - 1)
    assert code(lambda: decode(body, content_type, limits=short)) == "body-too-large"


@pytest.mark.parametrize("content_type", WRITERS)
def test_a_request_may_have_so_many_queries_and_no_more(content_type: str) -> None:
    limits = Limits(max_rows=5)
    write = WRITERS[content_type]
    assert decode(write(np.ones((5, 2))), content_type, limits=limits).n_queries == 5
    more = write(np.ones((6, 2)))
    assert code(lambda: decode(more, content_type, limits=limits)) == "rows-too-many"


@pytest.mark.parametrize("kind", ["instances", "ids"])
def test_so_may_an_object(kind: str) -> None:
    limits = Limits(max_rows=2)
    one = b"[1]" if kind == "instances" else b'"a"'
    body = b'{"%s": [%s]}'
    name = kind.encode()
    assert decode(body % (name, b",".join([one] * 2)), JSON, limits=limits).n_queries == 2
    more = body % (name, b",".join([one] * 3))
    assert code(lambda: decode(more, JSON, limits=limits)) == "rows-too-many"


@pytest.mark.parametrize("name", ["exclude_ids", "include_ids", "like", "dislike", "terms"])
def test_a_list_may_have_so_many_ids_and_no_more(name: str) -> None:
    limits = Limits(max_ids=3)
    queries = "" if name in ("like", "dislike", "terms") else '"instances": [[1]], '

    def body(count: int) -> bytes:
        ids = ", ".join(f'"a{number}"' for number in range(count))
        return f'{{{queries}"{name}": [{ids}]}}'.encode()

    assert code(lambda: decode(body(3), JSON, limits=limits)) is None
    assert code(lambda: decode(body(4), JSON, limits=limits)) == "ids-too-many"


def test_an_id_may_have_so_many_characters_and_no_more() -> None:
    limits = Limits(max_id_length=8)
    assert code(lambda: decode(b'{"id": "12345678"}', JSON, limits=limits)) is None
    assert code(lambda: decode(b'{"id": "123456789"}', JSON, limits=limits)) == "body-id"
    twins = '{"ids": ["é", "e\u0301"]}'.encode()  # the same letter, composed and not
    assert decode(twins, JSON).ids == ["é", "e\u0301"]
    long = b'{"id": "%s"}' % (b"x" * 1_000_000)
    assert code(lambda: decode(long, JSON)) == "body-id"


def test_a_query_may_ask_for_so_many_neighbours_and_no_more() -> None:
    model = make_model(limits=Limits(max_neighbors=5))
    assert code(lambda: model.invoke(b"[1,2,3,4]", JSON, None, "k=5")) is None
    assert code(lambda: model.invoke(b"[1,2,3,4]", JSON, None, "k=6")) == "n-neighbors-range"


def test_an_answer_may_have_so_many_neighbours_and_no_more() -> None:
    model = make_model(limits=Limits(max_answers=20, max_items=6))
    two, three = npy_body(np.ones((2, 4))), npy_body(np.ones((3, 4)))
    assert code(lambda: model.invoke(two, NPY, None, "k=10")) is None
    assert code(lambda: model.invoke(three, NPY, None, "k=7")) == "answer-too-large"
    with_items = "k=%d;include_items=true"
    assert code(lambda: model.invoke(two, NPY, JSON, with_items % 3)) is None
    assert code(lambda: model.invoke(two, NPY, JSON, with_items % 4)) == "answer-too-large"


def test_headers_may_have_so_many_characters_and_no_more() -> None:
    content_type = "application/json; a=" + "b" * (4_096 - 20)
    assert len(content_type) == 4_096
    assert code(lambda: decode(b"[1]", content_type)) is None
    assert code(lambda: decode(b"[1]", content_type + "b")) == "content-type-malformed"
    assert code(lambda: negotiate(content_type)) is None
    assert code(lambda: negotiate(content_type + "b")) == "accept-malformed"
    attributes = "trace=" + "a" * (1_024 - 6)
    assert code(lambda: decode(b"[1]", JSON, attributes)) is None
    assert code(lambda: decode(b"[1]", JSON, attributes + "a")) == "attributes-too-long"


def test_an_npy_header_may_have_so_many_bytes_and_no_more() -> None:
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"

    def body(length: int) -> bytes:
        header = text.ljust(length - 1) + b"\n"
        return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + header + bytes(8)

    assert code(lambda: decode(body(MAX_HEADER_BYTES), NPY)) is None
    assert code(lambda: decode(body(MAX_HEADER_BYTES + 1), NPY)) == "body-npy"


def test_an_integer_may_have_so_many_digits_and_no_more() -> None:
    assert code(lambda: decode(b"[0.1, %s]" % (b"1" * 308), JSON)) is None
    for digits in (311, 4_301, 5_000, 1_000_000):
        assert code(lambda n=digits: decode(b"[%s]" % (b"1" * n), JSON)) == "body-number"


@pytest.mark.parametrize(
    ("name", "value"), [("max_neighbors", 7), ("max_ids", 8), ("max_items", 9), ("max_rows", 6)]
)
def test_a_limit_can_be_set_by_its_variable(name: str, value: int) -> None:
    settings = Settings.from_environment({f"KNEIGHBORS_{name.upper()}": str(value)})
    assert getattr(settings.limits, name) == value


def test_the_page_has_every_limit_with_its_value() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+)", page, re.MULTILINE))
    settings = Settings()
    for one in dataclasses.fields(Limits):
        assert int(rows.pop(one.name).replace(",", "")) == getattr(Limits(), one.name)
    assert rows
    for name, value in rows.items():
        assert int(value.replace(",", "")) == getattr(settings, name)
    multiples = dict(re.findall(r"^\| `(\w+/[\w-]+)` \| (\d+) \|", page, re.MULTILINE))
    assert {name: int(value) for name, value in multiples.items()} == MULTIPLES
