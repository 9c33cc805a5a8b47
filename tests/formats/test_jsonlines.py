"""JSON lines that must be understood; the rest is in `fuzz/bodies/jsonlines`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kneighbors.formats import JSONLINES, Answer, decode, encode, negotiate


@pytest.mark.parametrize(
    "body",
    [
        "[1, 2]\n[3, 4]\n",
        "[1, 2]\n[3, 4]",
        "[1, 2]\r\n[3, 4]\r\n",
        '{"features": [1, 2]}\n{"features": {"values": [3, 4]}}\n',
        '{"data": {"features": {"values": [1, 2]}}}\n  {"instance": [3, 4]}  \n',
    ],
)
def test_a_line_is_a_query(body: str) -> None:
    request = decode(body.encode(), JSONLINES)
    assert request.vectors is not None
    assert request.vectors.tolist() == [[1, 2], [3, 4]]
    assert request.shape == "object"


def test_a_line_may_hold_an_id() -> None:
    assert decode('{"id": "a"}\n{"id": "ü\u2028"}\n'.encode(), JSONLINES).ids == ["a", "ü\u2028"]


def test_an_object_comes_back_for_each_line_in_order() -> None:
    answer = Answer(
        np.array([[0.1], [0.2]]),
        np.array([[1], [2]]),
        ids=[["a"], ["b\n\u2028"]],
        items=[[{"name": "x\ny"}], [{"name": None}]],
    )
    body, _ = encode(answer, negotiate(JSONLINES, JSONLINES))
    assert body.endswith(b"\n")
    assert [json.loads(line) for line in body.split(b"\n")[:-1]] == [
        {"distances": [0.1], "indices": [1], "ids": ["a"], "items": [{"name": "x\ny"}]},
        {"distances": [0.2], "indices": [2], "ids": ["b\n\u2028"], "items": [{"name": None}]},
    ]
