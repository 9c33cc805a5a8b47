"""What a strict server must answer to requests that are malformed, oversized or slow."""

from __future__ import annotations

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from processes import status_of

DRIP_S = 8.0  # how long a dripping connection is watched

_POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
ROWS: list[tuple[str, bytes, int]] = [
    (
        "length and chunked",
        _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("length 3,3", _POST + b"Content-Length: 3,3\r\n\r\nabc", 400),
    ("bare line feeds", b"GET /ping HTTP/1.1\nHost: a\n\n", 400),
    ("no Host", b"GET /ping HTTP/1.1\r\n\r\n", 400),
    ("chunk extension of 20 KB", _CHUNKED + b"3;" + b"a" * 20_000 + b"\r\nabc\r\n0\r\n\r\n", 400),
    (
        "header of 100 KB",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        431,
    ),
    (
        "1,000 headers",
        b"GET /ping HTTP/1.1\r\nHost: a\r\n"
        + b"".join(b"X-%d: 1\r\n" % i for i in range(1000))
        + b"\r\n",
        431,
    ),
    ("URL of 100 KB", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("TE xchunked", _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("two lengths", _POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ("length +3", _POST + b"Content-Length: +3\r\n\r\nabc", 400),
    ("length -1", _POST + b"Content-Length: -1\r\n\r\n", 400),
    ("length 10^30", _POST + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n", 400),
    ("length of 5,000 digits", _POST + b"Content-Length: " + b"1" * 5000 + b"\r\n\r\n", 400),
    ("length 3_0", _POST + b"Content-Length: 3_0\r\n\r\nabc", 400),
    ("space before colon", b"GET /ping HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("NUL in a header", b"GET /ping HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
    ("chunk size 0x3", _CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    ("bad end of a chunk", _CHUNKED + b"3\r\nabcXX0\r\n\r\n", 400),
    ("TLS bytes", bytes.fromhex("1603010200010001fc0303") + b"\x00" * 300, 400),
]


def drip(port: int, head: bytes) -> str:
    """Send one byte every half second; return what the server did about it, and when."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as s:
        s.sendall(head)
        while (passed := time.monotonic() - start) < DRIP_S:
            try:
                data = s.recv(4096)
            except TimeoutError:
                with contextlib.suppress(OSError):
                    s.sendall(b"a")
                continue
            except OSError:
                data = b""
            status = data.split(b" ")[1].decode() if data.startswith(b"HTTP/") else "closed"
            return f"{status} after {passed:.0f} s"
    return "open"


def strictness(port: int) -> dict[str, Any]:
    """Try every row of the table, and both drips at once."""
    heads = (b"GET /ping HTTP/1.1\r\nHost: a\r\nX-", _POST + b"Content-Length: 99\r\n\r\n")
    with ThreadPoolExecutor(2) as pool:
        drips = [pool.submit(drip, port, head) for head in heads]
        passed = {name: status_of(port, request) == want for name, request, want in ROWS}
    return {
        "rows_passed": sum(passed.values()),
        "rows_failed": [name for name, good in passed.items() if not good],
        "header_drip": drips[0].result(),
        "body_drip": drips[1].result(),
    }
