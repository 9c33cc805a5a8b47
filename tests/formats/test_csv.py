"""CSV that must be understood, and what is written; the rest is in `fuzz/bodies/csv`."""

from __future__ import annotations

import numpy as np
import pytest

from kneighbors.errors import BodyRefused
from kneighbors.formats import CSV, Answer, decode, encode, negotiate


@pytest.mark.parametrize(
    "body",
    [
        "1,-2.5\n3e5,0.25\n",
        "1,-2.5\n3e5,0.25",
        "1,-2.5\r\n3e5,0.25\r\n",
        "1,-2.5\r\n3e5,0.25",
        "1, -2.5\n\t3e5 ,0.25\n",
        "+1,-2.5\n3E+05,.25\n",
        "1.,-2.50\n300000,2.5e-1\n",
        "01,-2.5\n3.e5,00.25\n",
        "1.000000000000000000e+00,-2.5e+00\n3e+05,2.5e-01\n",  # as numpy.savetxt writes
    ],
)
def test_plain_numbers_are_read(body: str) -> None:
    request = decode(body.encode(), CSV)
    assert request.vectors is not None
    np.testing.assert_array_equal([[1, -2.5], [3e5, 0.25]], request.vectors)
    assert not request.single


def test_one_line_is_a_batch_of_one() -> None:
    request = decode(b"1,2,3", CSV)
    assert (request.n_queries, request.single) == (1, False)


@pytest.mark.parametrize("content_type", ["text/csv; header=present", "text/csv; header=Present"])
@pytest.mark.parametrize("header", ["a,b", '"a","b"', "x 1;é", "1,2,3"])
def test_a_header_line_is_skipped_whatever_it_says(header: str, content_type: str) -> None:
    request = decode(f"{header}\r\n1,2\n".encode(), content_type)
    assert request.vectors is not None
    assert request.vectors.tolist() == [[1, 2]]


@pytest.mark.parametrize("body", ["a,b", "a,b\n"])
def test_a_header_line_alone_is_no_query(body: str) -> None:
    with pytest.raises(BodyRefused) as caught:
        decode(body.encode(), "text/csv; header=present")
    assert (caught.value.code, caught.value.where) == ("body-no-queries", "line 2")


def test_lines_are_counted_as_an_editor_does() -> None:
    with pytest.raises(BodyRefused) as caught:
        decode(b"a,b\n1,2\n3,x\n", "text/csv; header=present")
    assert caught.value.where == "line 3, column 2"


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("x1,x2\n1,2\n", "header=present"),
        ('"1","2"\n', "without quotes"),
        ("1,2 # two\n", "Comments"),
        ("1;2\n", "commas"),
        ("1,2\r3,4\r", "LF or CRLF"),
    ],
)
def test_common_slips_get_a_hint(body: str, hint: str) -> None:
    with pytest.raises(BodyRefused, match=hint):
        decode(body.encode(), CSV)


def test_a_field_among_numbers_is_taken_for_no_header() -> None:
    with pytest.raises(BodyRefused) as caught:
        decode(b"1,x\n", CSV)
    assert caught.value.hint is None


def test_the_answer_is_distances_then_indices() -> None:
    answer = Answer(np.array([[0.1, 1 / 3], [0.0, 1e-300]]), np.array([[7, 8], [9, 179_999]]))
    body, content_type = encode(answer, negotiate(CSV, CSV))
    assert body == b"0.1,0.3333333333333333,7,8\n0.0,1e-300,9,179999\n"
    assert content_type == "text/csv"


def test_a_header_line_comes_where_it_was_asked_for() -> None:
    answer = Answer(np.array([[0.5, 1.0]]), np.array([[7, 8]]))
    body, content_type = encode(answer, negotiate("text/csv; header=present", CSV))
    assert body == b"distance_1,distance_2,index_1,index_2\n0.5,1.0,7,8\n"
    assert content_type == "text/csv; header=present"
