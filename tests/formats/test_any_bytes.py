"""Whatever bytes come, they are understood or refused by a KNeighborsError, and memory is bounded.

Every body of `fuzz/bodies`, every good body cut at every byte, and thousands of good bodies
with a few changes. `tests/sagemaker/test_model_any_bytes.py` does the same with a whole endpoint.
"""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fuzz.greedy import GREEDY, MULTIPLES
from kneighbors.errors import KNeighborsError
from kneighbors.formats import JSON, Limits, Request, decode
from support.wire_bodies import (
    CONTENT_TYPES,
    CORPUS,
    WRITERS,
    Hostile,
    hostile_bodies,
    mutated,
)

BODIES = list(hostile_bodies())
#: Refused only by what knows the corpus: its width, its metric, its ids.
BY_THE_MODEL = (
    "array-",
    "id-",
    "items-",
    "exclude-self-needs-ids",
    "n-neighbors-range",
    "radius-",
    "vocabulary-",
)


def outcome(body: bytes, content_type: str) -> Request | str:
    """Return the request, or the code of the refusal; anything else that is raised is a fault."""
    try:
        return decode(body, content_type)
    except KNeighborsError as error:
        refusal = error
    text = str(refusal)
    assert text.encode()
    assert len(text) < 1000
    return refusal.code


def test_every_body_of_the_corpus_is_expected_and_every_expected_one_is_there() -> None:
    files = {path for folder in CONTENT_TYPES for path in (CORPUS / folder).iterdir()}
    assert len(BODIES) == len(files) > 300
    assert len({one.name for one in BODIES}) == len(BODIES)


@pytest.mark.parametrize("hostile", BODIES, ids=[one.name for one in BODIES])
def test_a_hostile_body_is_refused(hostile: Hostile) -> None:
    if hostile.code.startswith(BY_THE_MODEL) and outcome(hostile.body, hostile.content_type) != (
        hostile.code
    ):
        # Nothing is wrong with the body itself.
        assert isinstance(outcome(hostile.body, hostile.content_type), Request)
        return
    with pytest.raises(KNeighborsError) as caught:
        decode(hostile.body, hostile.content_type)
    assert caught.value.code == hostile.code
    assert hostile.where in (None, caught.value.where)


@pytest.mark.parametrize("shape", [(3,), (2, 3)], ids=["vector", "batch"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_body_cut_at_any_byte_is_refused_or_whole(writer: str, shape: tuple[int, ...]) -> None:
    content_type, write = WRITERS[writer]
    values = np.random.default_rng(3).standard_normal(shape)
    body = write(values)
    for length in range(len(body)):
        found = outcome(body[:length], content_type)
        if writer in ("npy", "json", "instances"):
            assert isinstance(found, str), f"cut at byte {length}"
        elif isinstance(found, Request):
            # Text of lines has no end of its own: what is read are the numbers that are there.
            assert found.vectors is not None
            assert found.n_queries <= np.atleast_2d(values).shape[0]


# What a few changes make of good bodies: 12,000 for each format.
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("writer", WRITERS)
def test_mutated_bodies_raise_nothing_else(writer: str, seed: int) -> None:
    content_type, write = WRITERS[writer]
    rng = np.random.default_rng([seed, len(writer)])
    bodies = [write(rng.standard_normal(shape).round(2)) for shape in [(3,), (1, 3), (3, 2)]]
    if content_type == JSON:
        bodies.append(
            b'{"ids": ["w00", 3], "k": 3, "parameters": {"radius": 0.5, "exclude_self": true, '
            b'"exclude_ids": ["w01"], "include_items": ["name"]}}'
        )
    refused = 0
    for number in range(3_000):
        found = outcome(mutated(bodies[number % len(bodies)], rng), content_type)
        refused += isinstance(found, str)
        if isinstance(found, Request) and found.vectors is not None:
            assert found.vectors.ndim == 2
            assert found.vectors.dtype in (np.float32, np.float64)
            assert content_type == CONTENT_TYPES["npy"] or np.isfinite(found.vectors).all()
    assert 1_000 < refused < 3_000


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([*CONTENT_TYPES.values(), ""]))
@example(b"\x93NUMPY\x01\x00\x00\x00", "")
def test_random_bytes_raise_nothing_else(body: bytes, content_type: str) -> None:
    outcome(body, content_type)


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_random_headers_raise_nothing_else(content_type: str, attributes: str) -> None:
    for body in (b"[1, 2]", b"1,2"):
        try:
            decode(body, content_type, attributes)
        except KNeighborsError as error:
            str(error).encode()


@pytest.mark.parametrize("name", GREEDY)
def test_memory_is_bounded_by_a_multiple_of_the_body(name: str) -> None:
    content_type, make = GREEDY[name]
    body = make(40_000)
    tracemalloc.start()
    try:
        with suppress(KNeighborsError):
            decode(body, content_type, limits=Limits(max_rows=40_000, max_ids=40_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Fixed costs, such as that of a message, are not in proportion.
    assert peak / len(body) < MULTIPLES[content_type] + 2
