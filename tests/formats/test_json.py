"""JSON that must be understood, and what is written; the rest is in `fuzz/bodies/json`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kneighbors.errors import BodyRefused, KNeighborsError
from kneighbors.formats import JSON, Answer, Limits, decode, negotiate
from kneighbors.formats.json import dump, encode


@pytest.mark.parametrize(
    ("body", "vectors", "single", "shape"),
    [
        ("[1, 2.5]", [[1, 2.5]], True, "array"),
        ("[[1, 2.5]]", [[1, 2.5]], False, "array"),
        (" [[1,2],\r\n\t[3,4]] ", [[1, 2], [3, 4]], False, "array"),
        ("[-0.0, 1e-400, 5e-324, 1E+2]", [[-0.0, 0.0, 5e-324, 100.0]], True, "array"),
        ("[9007199254740993, 1e308]", [[9007199254740992.0, 1e308]], True, "array"),
        ('{"instances": [[1, 2]]}', [[1, 2]], False, "object"),
        ('{"instances": [{"features": [1, 2]}]}', [[1, 2]], False, "object"),
        ('{"instances": [{"features": {"values": [1, 2]}}]}', [[1, 2]], False, "object"),
        ('{"instances": [{"data": {"features": {"values": [1, 2]}}}]}', [[1, 2]], False, "object"),
        ('{"instances": [{"features": [1, 2]}, [3, 4]]}', [[1, 2], [3, 4]], False, "object"),
        ('{"instances": [{"instance": [1, 2]}]}', [[1, 2]], False, "object"),
        ('{"features": [1, 2]}', [[1, 2]], True, "object"),
        ('{"instance": [1, 2], "k": 1}', [[1, 2]], True, "object"),
        ('{"data": {"features": {"values": [1, 2]}}}', [[1, 2]], True, "object"),
        ('{"\\u0069nstances": [[1, 2]]}', [[1, 2]], False, "object"),
    ],
)
def test_vectors_are_read(body: str, vectors: list[Any], single: bool, shape: str) -> None:
    request = decode(body.encode(), JSON)
    assert request.vectors is not None
    np.testing.assert_array_equal(np.array(vectors, dtype=float), request.vectors)
    assert (single, shape, None) == (request.single, request.shape, request.ids)


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ('{"ids": ["a", "b", "a"]}', ["a", "b", "a"]),
        ('{"ids": [1, -9223372036854775808, 9223372036854775807]}', [1, -(2**63), 2**63 - 1]),
        ('{"id": "a"}', ["a"]),
        ('{"instances": [{"id": "a"}, {"id": "b"}]}', ["a", "b"]),
        ('{"ids": ["ch\\u00e2teau", "\\ud83d\\ude00", "\\u0000"]}', ["château", "😀", "\0"]),
    ],
)
def test_ids_are_read(body: str, ids: list[Any]) -> None:
    request = decode(body.encode(), JSON)
    assert (ids, None) == (request.ids, request.vectors)
    assert request.n_queries == len(ids)


@pytest.mark.parametrize(
    "body",
    [
        '{"ids": [1], "k": 3, "exclude_self": true}',
        '{"ids": [1], "parameters": {"k": 3, "exclude_self": true}}',
        '{"ids": [1], "k": 3, "parameters": {"exclude_self": true}}',
        '{"ids": [1], "k": 3, "n_neighbors": 3, "parameters": {"k": 3, "exclude_self": true}}',
        '{"parameters": {"exclude_self": true, "n_neighbors": 3}, "ids": [1]}',
    ],
)
def test_parameters_stand_at_the_top_or_below(body: str) -> None:
    parameters = decode(body.encode(), JSON).parameters
    assert (parameters.n_neighbors, parameters.exclude_self) == (3, True)


@pytest.mark.parametrize("digits", [309, 310, 4_301, 5_000, 1_000_000])
def test_integers_of_any_length_are_refused_quickly_with_their_path(digits: int) -> None:
    body = b'{"instances": [[1, %s]]}' % (b"9" * digits)
    with pytest.raises(BodyRefused) as caught:
        decode(body, JSON)
    assert (caught.value.code, caught.value.where) == ("body-number", "$.instances[0][1]")


def test_an_id_of_a_megabyte_is_refused_without_being_repeated() -> None:
    with pytest.raises(KNeighborsError) as caught:
        decode(b'{"ids": ["%s"]}' % (b"w" * 1_000_000), JSON)
    assert caught.value.code == "body-id"
    assert len(str(caught.value)) < 300


def test_exclude_ids_have_a_limit() -> None:
    body = json.dumps({"ids": [1], "exclude_ids": list(range(6))}).encode()
    assert len(decode(body, JSON, limits=Limits(max_ids=6)).parameters.exclude_ids) == 6
    with pytest.raises(BodyRefused) as caught:
        decode(body, JSON, limits=Limits(max_ids=5))
    assert caught.value.code == "ids-too-many"


def test_the_numbers_of_a_wrong_query_are_counted_from_the_first_row() -> None:
    rows: list[list[Any]] = [[float(i), 2.0] for i in range(500)]
    rows[431][1] = None
    with pytest.raises(BodyRefused) as caught:
        decode(json.dumps(rows).encode(), JSON)
    assert caught.value.where == "$[431][1]"


def answer(**more: Any) -> Answer:
    return Answer(np.array([[0.1, 1 / 3]]), np.array([[7, 2**53 + 1]]), **more)


def test_a_lone_vector_is_answered_by_two_lists() -> None:
    assert encode(answer(single=True), {}) == b"[[0.1,0.3333333333333333],[7,9007199254740993]]"


def test_a_batch_is_answered_by_two_lists_of_lists() -> None:
    assert encode(answer(), {}) == b"[[[0.1,0.3333333333333333]],[[7,9007199254740993]]]"


def test_objects_are_answered_by_predictions() -> None:
    found = json.loads(
        encode(answer(shape="object", ids=[["a", "b"]], items=[[{"x": 1}, {"x": None}]]), {})
    )
    assert found == {
        "predictions": [
            {
                "distances": [0.1, 1 / 3],
                "indices": [7, 2**53 + 1],
                "ids": ["a", "b"],
                "items": [{"x": 1}, {"x": None}],
            }
        ]
    }


def test_a_short_answer_says_how_many_and_why() -> None:
    short = Answer(
        [np.array([0.5]), np.array([0.1, 0.2])],
        [np.array([3]), np.array([4, 5])],
        ids=[[3], [4, 5]],
        reasons=["excluded", None],
        shape="object",
    )
    first, second = json.loads(encode(short, {}))["predictions"]
    assert first == {"distances": [0.5], "indices": [3], "ids": [3]} | {
        "n_found": 1,
        "reason": "excluded",
    }
    assert second == {"distances": [0.1, 0.2], "indices": [4, 5], "ids": [4, 5]}


def test_a_ragged_answer_has_lists_of_different_lengths() -> None:
    ragged = Answer([np.array([0.5]), np.empty(0)], [np.array([3]), np.empty(0, np.int64)])
    assert encode(ragged, {}) == b"[[[0.5],[]],[[3],[]]]"


def test_text_is_written_as_utf_8() -> None:
    assert dump({"name": "château"}) == '{"name":"château"}'.encode()


def test_what_utf_8_cannot_hold_is_escaped() -> None:
    assert json.loads(dump({"name": "\ud800"})) == {"name": "\ud800"}


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_no_nan_is_ever_written(value: Any) -> None:
    def refuse(word: str) -> Any:
        raise AssertionError(word)

    json.loads(dump(value).decode(), parse_constant=refuse)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_reads_back_to_the_last_bit(value: float) -> None:
    read = json.loads(dump([value]))[0]
    assert np.float64(value).tobytes() == np.float64(read).tobytes()


def test_json_is_the_answer_to_json() -> None:
    assert negotiate(None, JSON).content_type == "application/json"
