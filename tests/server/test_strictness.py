"""Bytes that common servers let through, and what this one says to them."""

from __future__ import annotations

import pytest

from support.server_process import ServerProcess
from support.server_raw import exchange

POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /ping HTTP/1.1\r\nHost: a\r\n"
MANY = b"".join(b"X-%d: 1\r\n" % number for number in range(1000))

REFUSED = {
    "length_and_chunked": (
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "request-framing",
    ),
    "chunked_and_length": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        400,
        "request-framing",
    ),
    "length_3_comma_3": (POST + b"Content-Length: 3,3\r\n\r\nabc", 400, None),
    "two_equal_lengths": (
        POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        400,
        None,
    ),
    "two_lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, None),
    "length_plus": (POST + b"Content-Length: +3\r\n\r\nabc", 400, None),
    "length_minus": (POST + b"Content-Length: -1\r\n\r\n", 400, None),
    "length_of_31_digits": (POST + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n", 400, None),
    "length_of_5000_digits": (POST + b"Content-Length: " + b"1" * 5000 + b"\r\n\r\n", 400, None),
    "length_with_underscore": (POST + b"Content-Length: 3_0\r\n\r\nabc", 400, None),
    "length_hexadecimal": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400, None),
    "length_empty": (POST + b"Content-Length: \r\n\r\nabc", 400, None),
    "length_arabic": (POST + "Content-Length: ٣\r\n\r\nabc".encode(), 400, None),
    "coding_xchunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, None),
    "coding_gzip_chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400, None),
    "coding_twice": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        None,
    ),
    "coding_in_http_1_0": (
        b"POST /invocations HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        None,
    ),
    "bare_line_feeds": (b"GET /ping HTTP/1.1\nHost: a\n\n", 400, "request-malformed"),
    "one_bare_line_feed": (GET + b"X: 1\nY: 2\r\n\r\n", 400, "request-malformed"),
    "bare_carriage_return": (GET + b"X: 1\rY: 2\r\n\r\n", 400, "request-malformed"),
    "no_host": (b"GET /ping HTTP/1.1\r\n\r\n", 400, "host-invalid"),
    "two_hosts": (GET + b"Host: b\r\n\r\n", 400, "host-invalid"),
    "odd_host": (b"GET /ping HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "host-invalid"),
    "folded_header": (GET + b"X: 1\r\n 2\r\n\r\n", 400, "request-malformed"),
    "space_before_colon": (GET + b"X : 1\r\n\r\n", 400, "request-malformed"),
    "header_without_colon": (GET + b"X\r\n\r\n", 400, "request-malformed"),
    "header_without_name": (GET + b": 1\r\n\r\n", 400, "request-malformed"),
    "nul_in_a_header": (GET + b"X: a\0b\r\n\r\n", 400, "request-malformed"),
    "nul_in_the_path": (b"GET /pi\0ng HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-malformed"),
    "two_spaces": (b"GET  /ping HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-malformed"),
    "space_in_the_path": (b"GET /pi ng HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-malformed"),
    "no_version": (b"GET /ping\r\n\r\n", 400, "request-malformed"),
    "version_2": (b"GET /ping HTTP/2.0\r\nHost: a\r\n\r\n", 400, "request-malformed"),
    "version_1_2": (b"GET /ping HTTP/1.2\r\nHost: a\r\n\r\n", 400, "request-malformed"),
    "fragment": (b"GET /ping#x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-malformed"),
    "relative_path": (b"GET ping HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-malformed"),
    "http_2_preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "request-malformed"),
    "tls": (
        bytes.fromhex("1603010200010001fc0303") + b"\0" * 300,
        400,
        "request-malformed",
    ),
    "garbage": (bytes(range(256)), 400, "request-malformed"),
    "chunk_extension_of_20_kb": (
        CHUNKED + b"3;" + b"a" * 20_000 + b"\r\nabc\r\n0\r\n\r\n",
        400,
        "chunk-malformed",
    ),
    "chunk_size_0x3": (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400, "chunk-malformed"),
    "chunk_size_minus": (CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", 400, "chunk-malformed"),
    "chunk_size_empty": (CHUNKED + b"\r\nabc\r\n0\r\n\r\n", 400, "chunk-malformed"),
    "chunk_size_of_nine_digits": (CHUNKED + b"000000003\r\nabc\r\n", 400, "chunk-malformed"),
    "chunk_with_bad_end": (CHUNKED + b"3\r\nabcXX0\r\n\r\n", 400, "chunk-malformed"),
    "chunk_with_line_feed": (CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400, "chunk-malformed"),
    "trailers_of_20_kb": (
        CHUNKED + b"3\r\nabc\r\n0\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        400,
        "chunk-malformed",
    ),
    "header_of_100_kb": (GET + b"X: " + b"a" * 100_000 + b"\r\n\r\n", 431, "headers-too-large"),
    "a_thousand_headers": (GET + MANY + b"\r\n", 431, "headers-too-large"),
    "url_of_100_kb": (
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        414,
        "url-too-long",
    ),
    "query_of_100_kb": (
        b"GET /ping?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        414,
        "url-too-long",
    ),
    "unknown_expectation": (
        POST + b"Content-Length: 3\r\nExpect: a-miracle\r\n\r\n",
        417,
        "expectation-unknown",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_misread_is_refused_and_the_connection_closed(
    server: ServerProcess, name: str
) -> None:
    data, status, code = REFUSED[name]
    # What follows on the connection must never be taken for a request.
    (response,) = exchange(server.port, data + GET + b"\r\n")
    assert status == response.status
    assert code in (None, response.error["code"])
    assert response.headers["connection"] == "close"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    assert "server" not in response.headers
    assert set(response.error) == {"code", "message", "where"}
    assert server.ping() == 200


@pytest.mark.parametrize("name", ["no_host", "length_and_chunked", "chunk_size_0x3", "tls"])
def test_it_is_refused_alike_when_it_comes_byte_by_byte(server: ServerProcess, name: str) -> None:
    data, status, _ = REFUSED[name]
    # Bytes that follow a refusal could be lost with the answer; these rows end where they fail.
    whole = exchange(server.port, data)
    pieces = exchange(server.port, data[:300], piece=1)
    assert [status] == [one.status for one in whole] == [one.status for one in pieces]


ACCEPTED = {
    "plain": GET + b"\r\n",
    "no_space_after_colon": b"GET /ping HTTP/1.1\r\nHost:a\r\n\r\n",
    "empty_header": GET + b"X:\r\n\r\n",
    "latin_1_in_a_header": GET + b"X: caf\xe9\r\n\r\n",
    "a_hundred_headers": GET + b"".join(b"X-%d: 1\r\n" % n for n in range(98)) + b"\r\n",
    "header_of_15_kb": GET + b"X: " + b"a" * 15_000 + b"\r\n\r\n",
    "url_of_8_kb": b"GET /ping?" + b"a" * 8_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "empty_line_before": b"\r\n" + GET + b"\r\n",
    "absolute_target": b"GET http://a/ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "address_with_port": b"GET /ping HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
    "http_1_0_without_host": b"GET /ping HTTP/1.0\r\n\r\n",
    "offer_of_http_2": GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
}


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("piece", [None, 7])
def test_what_can_be_read_in_one_way_is_answered(
    server: ServerProcess, name: str, piece: int | None
) -> None:
    last = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    data = ACCEPTED[name] if "1_0" in name else ACCEPTED[name] + last
    responses = exchange(server.port, data, piece=piece)
    assert [200] * (1 if "1_0" in name else 2) == [response.status for response in responses]
    assert responses[-1].headers["connection"] == "close"
