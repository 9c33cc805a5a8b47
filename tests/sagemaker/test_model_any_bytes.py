"""Whatever a client sends, an endpoint refuses it cleanly or answers it rightly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kneighbors.errors import KNeighborsError
from kneighbors.formats import JSON
from support.wire_bodies import (
    CONTENT_TYPES,
    WRITERS,
    Hostile,
    hostile_bodies,
    json_body,
    mutated,
    read_answer,
)
from support.wire_model import corpus, expected, make_model

BODIES = list(hostile_bodies())
MODEL = make_model()
GOOD = np.array([0.5, -1.0, 2.0, 0.25])


@pytest.mark.parametrize("hostile", BODIES, ids=[one.name for one in BODIES])
def test_a_hostile_body_is_refused_and_the_next_good_one_answered(hostile: Hostile) -> None:
    with pytest.raises(KNeighborsError) as caught:
        MODEL.invoke(hostile.body, hostile.content_type)
    error = caught.value
    assert hostile.code == error.code
    assert hostile.where in (None, error.where)
    assert error.message.startswith(("Expected", "Q has", "Input Q", "Found array"))
    assert len(str(error)) < 700
    assert str(error).encode()
    ((distances, rows),) = read_answer(MODEL.invoke(json_body(GOOD), JSON, None, "k=3").body, JSON)
    assert (rows, len(distances)) == (expected(corpus(), GOOD, 3)[1], 3)


@pytest.mark.parametrize("writer", WRITERS)
def test_mutated_bodies_are_answered_finitely_or_refused(writer: str) -> None:
    content_type, write = WRITERS[writer]
    rng = np.random.default_rng(11)
    bodies = [write(rng.standard_normal(shape).round(1)) for shape in [(4,), (3, 4)]]
    if content_type == JSON:
        bodies.append(b'{"ids": ["w00", "w01"], "k": 3, "exclude_self": true, "radius": 0.5}')
        bodies.append(b'{"id": "w00", "exclude_ids": ["w01"], "include_items": ["name"]}')
    answered = 0
    for number in range(2_500):
        body = mutated(bodies[number % len(bodies)], rng)
        try:
            reply = MODEL.invoke(body, content_type)
        except KNeighborsError as error:
            str(error).encode()
            continue
        answered += 1
        for distances, rows in read_answer(reply.body, reply.content_type):
            assert np.isfinite(distances).all()
            assert distances == sorted(distances)
            assert all(0 <= row < 12 for row in rows)
            assert len(set(rows)) == len(rows)
    assert answered > 20


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([*CONTENT_TYPES.values(), None, "", "text/plain"]) | st.text(max_size=30),
    st.sampled_from([*CONTENT_TYPES.values(), None, "*/*", "image/png"]) | st.text(max_size=30),
    st.sampled_from([None, "k=3", "radius=1", "include_items=true"]) | st.text(max_size=30),
    st.sampled_from([b"[1,2,3,4]", b"1,2,3,4", b'{"id": "w00"}']) | st.binary(max_size=30),
)
def test_any_headers_with_any_body_raise_nothing_else(
    content_type: str | None, accept: str | None, attributes: str | None, body: bytes
) -> None:
    try:
        reply = MODEL.invoke(body, content_type, accept, attributes)
    except KNeighborsError as error:
        str(error).encode()
    else:
        assert reply.rows >= 1
