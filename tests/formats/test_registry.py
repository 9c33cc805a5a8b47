"""From headers to a format, and the limits of a body."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from kneighbors.errors import BodyRefused
from kneighbors.formats import CSV, JSON, JSONLINES, NPY, Limits, decode, source_of
from support.wire_bodies import CONTENT_TYPES, WRITERS, npy_body

Q = np.array([[0.5, -2.0, 3e-5], [1.0, 2.0, 3.0]])


@pytest.mark.parametrize("writer", WRITERS)
def test_every_format_reads_the_same_queries(writer: str) -> None:
    content_type, write = WRITERS[writer]
    request = decode(write(Q), content_type)
    assert request.vectors is not None
    np.testing.assert_array_equal(Q, request.vectors)
    assert (request.single, request.ids) == (False, None)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/json; charset=us-ascii",
        "application/json; charset=utf8; x=y",
        None,
        "",
        "  ",
    ],
)
def test_json_is_recognised_and_is_the_default(content_type: str | None) -> None:
    assert decode(b"[[1, 2]]", content_type).n_queries == 1


@pytest.mark.parametrize(
    "content_type", [None, "", "application/octet-stream", "application/x-npy; charset=latin-1"]
)
def test_a_npy_body_is_recognised_without_its_name(content_type: str | None) -> None:
    assert source_of(content_type, npy_body(Q)).name == NPY
    assert decode(npy_body(Q), content_type).n_queries == 2


@pytest.mark.parametrize(
    "alias", ["application/x-ndjson", "application/jsonl", "Application/JSONLines"]
)
def test_json_lines_have_several_names(alias: str) -> None:
    assert source_of(alias, b"").name == JSONLINES


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("text/plain", "content-type-unsupported"),
        ("application/x-www-form-urlencoded", "content-type-unsupported"),
        ("application/x-npz", "content-type-unsupported"),
        ("application/json+x", "content-type-unsupported"),
        ("application/octet-stream", "content-type-unsupported"),
        ("*/*", "content-type-unsupported"),
        ("application/json, application/json", "content-type-malformed"),
        ("application/json; charset=latin-1", "content-type-charset"),
        ("text/csv; charset=utf-16", "content-type-charset"),
        ('application/jsonlines; charset=""', "content-type-charset"),
        ("text/csv; header=maybe", "content-type-parameter"),
        ("text/csv; label_size=1", "content-type-parameter"),
    ],
)
def test_another_content_type_is_refused(content_type: str, code: str) -> None:
    with pytest.raises(BodyRefused) as caught:
        decode(b"[1,2]", content_type)
    assert caught.value.code == code


def test_curls_habit_gets_a_hint() -> None:
    with pytest.raises(BodyRefused, match="curl -d"):
        decode(b"[1,2]", "application/x-www-form-urlencoded")


@pytest.mark.parametrize("content_type", CONTENT_TYPES.values())
def test_a_body_one_byte_over_the_limit_is_refused_unread(content_type: str) -> None:
    for body in (b"[" * 101, b"\x93NUMPY" + b"x" * 95, b"\xff" * 101):
        with pytest.raises(BodyRefused) as caught:
            decode(body, content_type, limits=Limits(max_body_bytes=100))
        assert caught.value.code == "body-too-large"


@pytest.mark.parametrize("writer", WRITERS)
def test_the_number_of_rows_has_a_limit(writer: str) -> None:
    content_type, write = WRITERS[writer]
    rows = np.ones((6, 2))
    assert decode(write(rows), content_type, limits=Limits(max_rows=6)).n_queries == 6
    with pytest.raises(BodyRefused) as caught:
        decode(write(rows), content_type, limits=Limits(max_rows=5))
    assert caught.value.code == "rows-too-many"


def test_a_lone_vector_is_wider_than_the_limit_of_rows() -> None:
    assert decode(b"[1,2,3,4]", JSON, limits=Limits(max_rows=2)).single


def test_parameters_come_from_body_and_header_together() -> None:
    body = b'{"instances": [[1, 2]], "k": 3}'
    parameters = decode(body, JSON, "radius=0.5;k=3").parameters
    assert (parameters.n_neighbors, parameters.radius) == (3, 0.5)


def test_formats_need_nothing_but_numpy() -> None:
    program = (
        "import sys, kneighbors.formats; "
        "heavy = {'sklearn', 'scipy', 'pandas', 'pyarrow', 'urllib3'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_csv_may_say_that_it_has_a_header_line() -> None:
    body = b"a,b\n1,2\n3,4\n"
    for content_type in ("text/csv; header=present", 'text/csv;Header="PRESENT"'):
        assert decode(body, content_type).n_queries == 2
    assert decode(body[4:], "text/csv; header=absent; label_size=0").n_queries == 2
    with pytest.raises(BodyRefused, match="header=present"):
        decode(body, CSV)
