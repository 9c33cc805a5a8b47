"""What is sent in one format and answered in another is the same, for every pair of formats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from kneighbors.formats import Answer, decode, encode, negotiate
from support.wire_bodies import CONTENT_TYPES, WRITERS, read_answer

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=5)


def same_bits(expected: Any, found: Any) -> bool:
    """Compare numbers to the last bit; minus zero is not zero."""
    return np.asarray(expected, np.float64).tobytes() == np.asarray(found, np.float64).tobytes()


@pytest.mark.parametrize("writer", WRITERS)
@settings(deadline=None)
@given(Q=arrays.arrays(np.float64, SHAPES, elements=FINITE))
def test_a_request_in_any_format_is_read_to_the_last_bit(
    writer: str, Q: NDArray[np.float64]
) -> None:
    content_type, write = WRITERS[writer]
    request = decode(write(Q), content_type)
    assert request.vectors is not None
    assert Q.shape == request.vectors.shape
    assert same_bits(Q, request.vectors)
    assert request.vectors.dtype == np.float64


@pytest.mark.parametrize("writer", ["npy", "json"])
@settings(deadline=None)
@given(q=arrays.arrays(np.float64, st.integers(1, 6).map(lambda d: (d,)), elements=FINITE))
def test_a_lone_vector_stays_alone(writer: str, q: NDArray[np.float64]) -> None:
    content_type, write = WRITERS[writer]
    request = decode(write(q), content_type)
    assert request.single
    assert same_bits(q[np.newaxis], request.vectors)


@pytest.mark.parametrize("source", CONTENT_TYPES.values())
@pytest.mark.parametrize("target", CONTENT_TYPES.values())
@settings(deadline=None)
@given(data=st.data(), shape=SHAPES, single=st.booleans(), as_objects=st.booleans())
def test_an_answer_in_any_format_is_read_to_the_last_bit(
    source: str,
    target: str,
    data: st.DataObject,
    shape: tuple[int, int],
    single: bool,
    as_objects: bool,
) -> None:
    if single:
        shape = (1, shape[1])
    distances = data.draw(arrays.arrays(np.float64, shape, elements=FINITE))
    rows = data.draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 2**53)))
    answer = Answer(
        distances, rows, single=single, shape="object" if as_objects else "array", ids=rows.tolist()
    )
    body, content_type = encode(answer, negotiate(target, source))
    assert target == content_type
    found = read_answer(body, content_type)
    assert same_bits(distances, [one for one, _ in found])
    assert rows.tolist() == [one for _, one in found]
