"""The gate alone: wherever the bytes are cut, they mean the same."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kneighbors.server.framing import Bounds, Gate
from kneighbors.server.refusals import HTTPRefused

BOUNDS = Bounds(line_bytes=200, header_bytes=400, headers=10, body_bytes=1000)

PIECES = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 500 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 11 + b"\r\n",
    b"\r\n",
    b"5\r\n",
)


def events(data: bytes, cuts: list[int]) -> list[tuple[bytes, ...]]:
    """Return what the gate makes of bytes that arrive in pieces; a refusal ends it.

    Of two faults, the one that is named depends on what has arrived.
    """
    gate = Gate(BOUNDS)
    found: list[tuple[bytes, ...]] = []
    body: list[bytes] | None = None
    bounds = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    try:
        for start, stop in pairwise(bounds):
            rest = data[start:stop]
            while rest:
                if body is not None:
                    piece, rest, is_complete = gate.body(rest)
                    body.append(piece)
                    if is_complete:
                        found.append((b"body", b"".join(body)))
                        body = None
                    continue
                head, rest = gate.head(rest)
                if head is not None:
                    found.append((b"head", head.method, head.text))
                    body = [] if head.has_body else None
    except HTTPRefused:
        found.append((b"refused",))
    return found


def code_of(data: bytes) -> str | None:
    """Return the code with which a head is refused."""
    try:
        Gate(BOUNDS).head(data)
    except HTTPRefused as refused:
        return refused.code
    return None


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=5), st.lists(st.integers(0, 3000), max_size=12))
def test_cuts_change_nothing(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    assert events(data, []) == events(data, cuts)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=3))
def test_one_byte_at_a_time_changes_nothing(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assert events(data, []) == events(data, list(range(len(data))))


@settings(deadline=None)
@given(
    st.sampled_from(PIECES),
    st.integers(0, 400),
    st.integers(0, 255),
    st.lists(st.integers(0, 400), max_size=5),
)
@example(PIECES[0], 14, 10, [])
def test_a_changed_byte_is_refused_or_means_the_same_wherever_it_is_cut(
    piece: bytes, place: int, byte: int, cuts: list[int]
) -> None:
    data = bytearray(piece)
    data[place % len(data)] = byte
    whole, parts = events(bytes(data), []), events(bytes(data), cuts)
    assert whole == parts


@settings(deadline=None)
@given(st.binary(max_size=600), st.lists(st.integers(0, 600), max_size=5))
def test_any_bytes_are_understood_or_refused(data: bytes, cuts: list[int]) -> None:
    for event in events(data, cuts):
        assert event[0] in (b"head", b"body", b"refused")


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_head_that_passes_has_a_control_or_a_lone_line_end(data: bytes) -> None:
    for event in events(b"GET / HTTP/1.1\r\nHost: a\r\n" + data + b"\r\n\r\n", []):
        if event[0] == b"head":
            assert b"\n" not in event[2].replace(b"\r\n", b"")
            assert not set(event[2].replace(b"\r\n", b"")) & {*range(9), *range(10, 32), 127}


def test_the_bounds_are_exact() -> None:
    def line(length: int) -> bytes:
        return b"GET /" + b"a" * (length - 14) + b" HTTP/1.1\r\nHost: a\r\n\r\n"

    assert code_of(line(200)) is None
    assert "url-too-long" == code_of(line(201))

    def fields(count: int) -> bytes:
        return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * (count - 1) + b"\r\n"

    assert code_of(fields(10)) is None
    assert "headers-too-large" == code_of(fields(11))

    def block(length: int) -> bytes:
        # From the end of the request line to the end of the last header.
        return b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * (length - 14) + b"\r\n\r\n"

    assert code_of(block(400)) is None
    assert "headers-too-large" == code_of(block(401))

    def body(length: int) -> bytes:
        return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length

    assert code_of(body(1000)) is None
    assert "body-too-large" == code_of(body(1001))


def test_an_upgrade_is_taken_out_and_the_rest_left() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nUPGRADE: h2c\r\nConnection: Upgrade\r\n\r\n"
    ((_, _, text),) = events(head, [])
    assert b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n" == text
