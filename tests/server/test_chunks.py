"""A chunked body: where it ends, and what is odd in one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kneighbors.server.chunks import Chunks
from kneighbors.server.refusals import HTTPRefused


def follow(data: bytes, most: int = 10_000, piece: int | None = None) -> tuple[int, bool]:
    """Return how many bytes belong to the body, and if it is complete."""
    chunks = Chunks(most)
    used = 0
    step = piece or max(1, len(data))
    for start in range(0, len(data), step):
        used += chunks.feed(data[start : start + step])
    return used, chunks.complete


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=10), st.binary(max_size=20))
def test_the_end_is_found_wherever_the_bytes_are_cut(pieces: list[bytes], rest: bytes) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    for piece in (None, 1, 2, 7):
        assert (len(body), True) == follow(body + rest, piece=piece)
        assert not follow(body[:-1], piece=piece)[1]


@pytest.mark.parametrize("piece", [None, 1])
@pytest.mark.parametrize(
    "data",
    [
        *(b"g\r\n", b"\r\n", b" 3\r\n", b"3 \r\n", b"3\n", b"0x3\r\n", b"+3\r\n", b"3_0\r\n"),
        *(b"-1\r\n", b"123456789\r\n", b"\xd9\xa3\r\n", b"3\r\nabcd\r\n", b"3\r\nabc\n0\r\n\r\n"),
        *(b"3\r\nabc\rX", b"0\r\n\n", b"0\r\nX\r\n\r\n", b"0\r\nX : 1\r\n\r\n"),
        *(b"3;" + b"a" * 127 + b"\r\n", b"3;\x00\r\n", b"3;\xff\r\n", b"0\r\nX: \x00\r\n\r\n"),
    ],
)
def test_an_odd_chunk_is_refused(data: bytes, piece: int | None) -> None:
    with pytest.raises(HTTPRefused) as refused:
        follow(data, piece=piece)
    assert "chunk-malformed" == refused.value.code


@pytest.mark.parametrize(
    "data",
    [
        *(b"A\r\n" + b"x" * 10 + b"\r\n0\r\n\r\n", b"00000003\r\nabc\r\n000\r\n\r\n"),
        *(b"3;name=value\r\nabc\r\n0;x\r\n\r\n", b'3 ; a="b c"\r\nabc\r\n0\r\n\r\n'),
        *(b"0\r\nX: 1\r\nY: caf\xe9\r\n\r\n", b"0\r\n\r\n"),
    ],
)
def test_what_the_standard_allows_is_read(data: bytes) -> None:
    assert (len(data), True) == follow(data) == follow(data, piece=1)


def test_a_chunk_that_says_too_much_is_refused_before_it_comes() -> None:
    with pytest.raises(HTTPRefused) as refused:
        follow(b"3e9\r\n", most=1000)
    assert "body-too-large" == refused.value.code
    assert (5, False) == follow(b"3e8\r\n", most=1000)


def test_many_small_chunks_are_refused_and_many_larger_ones_read() -> None:
    with pytest.raises(HTTPRefused):
        follow(b"1\r\na\r\n" * 5000, most=1 << 20)
    assert not follow((b"10\r\n" + b"a" * 16 + b"\r\n") * 5000, most=1 << 20)[1]
