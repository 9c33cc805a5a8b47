"""Bytes to a socket and back, for what a well-behaved client would not send."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass
class RawResponse:
    """One response, taken apart."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error of a refusal."""
        facts: dict[str, Any] = json.loads(self.body)["error"]
        return facts


def connect(port: int, timeout: float = 20.0) -> socket.socket:
    """Open a connection to this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout)


def receive_all(s: socket.socket) -> bytes:
    """Read until the server closes; a reset is no clean end and raises."""
    parts = []
    while part := s.recv(65536):
        parts.append(part)
    return b"".join(parts)


def split(data: bytes, *, head_only: bool = False) -> tuple[RawResponse, bytes]:
    """Return the first response, and what follows it."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    assert separator, data
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = 0 if head_only else int(headers["content-length"])
    assert len(rest) >= length, data
    return RawResponse(int(first.split()[1]), headers, rest[:length]), rest[length:]


def read_response(s: socket.socket) -> RawResponse:
    """Read one response and leave the connection open."""
    data = b""
    while True:
        part = s.recv(65536)
        assert part, f"the server closed after {data!r}"
        data += part
        head, separator, rest = data.partition(b"\r\n\r\n")
        if not separator:
            continue
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        if len(rest) >= length:
            response, left = split(data)
            assert left == b""
            return response


def exchange(port: int, data: bytes, *, piece: int | None = None) -> list[RawResponse]:
    """Send bytes, read until the server closes, and return the responses."""
    with connect(port) as s:
        if piece is None:
            with suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(data)
        else:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(data), piece):
                s.sendall(data[start : start + piece])
        received = receive_all(s)
    responses = []
    while received:
        response, received = split(received)
        responses.append(response)
    return responses


def is_closed_by_server(s: socket.socket, seconds: float = 10.0) -> bool:
    """Tell whether the server closes the connection in time, reading what it says."""
    deadline = time.monotonic() + seconds
    s.settimeout(0.2)
    while time.monotonic() < deadline:
        try:
            if not s.recv(65536):
                return True
        except TimeoutError:
            continue
        except ConnectionResetError:
            return True
    return False
