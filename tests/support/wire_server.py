"""Servers on loopback for the client: one that answers from a model, one that does as it is told.

Both are the standard library's, so that the client is tested against HTTP and not against our
server's idea of it.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kneighbors.errors import KNeighborsError
from kneighbors.sagemaker.model import Model
from kneighbors.server.statuses import status_of


@dataclass
class Service:
    """A running server and what it saw."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    connections: set[tuple[str, int]] = field(default_factory=set)


@contextmanager
def serving(model: Model, *, prefix: str = "") -> Iterator[Service]:
    """Run an HTTP server that answers /ping and /invocations from a model."""
    service = Service("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_GET(self) -> None:
            self._send(200 if self.path == f"{prefix}/ping" else 404, b"", "text/plain")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.connections.add(self.client_address)
            service.requests.append({**dict(self.headers), "path": self.path, "bytes": len(body)})
            attributes = self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
            try:
                reply = model.invoke(
                    body, self.headers["Content-Type"], self.headers["Accept"], attributes
                )
            except KNeighborsError as error:
                fault = {"code": error.code, "message": error.message, "where": error.where}
                answer = json.dumps({"error": fault}).encode()
                self._send(status_of(error), answer, "application/json")
            else:
                self._send(200, reply.body, reply.content_type)

        def _send(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def response(body: bytes, content_type: str, status: str = "200 OK") -> bytes:
    """Return the bytes of an HTTP response."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


Act = Callable[[socket.socket, bytes], bool]


def send(data: bytes) -> Act:
    """Send bytes and keep the connection."""

    def act(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(data)
        return True

    return act


def hang_up(data: bytes = b"") -> Act:
    """Send some bytes, perhaps none, and close the connection."""

    def act(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(data)
        return False

    return act


@contextmanager
def scripted(*acts: Act) -> Iterator[Service]:
    """Run a server that does one act for each request, in order, on as many connections as come."""
    service = Service("")
    remaining = list(acts)
    listener = socket.create_server(("127.0.0.1", 0))
    service.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def converse(connection: socket.socket) -> None:
        with connection:
            while True:
                request = _read_request(connection)
                if not request or not remaining:
                    return
                service.requests.append({"bytes": len(request)})
                if not remaining.pop(0)(connection, request):
                    return

    def listen() -> None:
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                return
            service.connections.add(address)
            connection.settimeout(10)
            converse(connection)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield service
    finally:
        # A blocked accept() wakes up for a visitor only.
        listener_address = listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(15)
        assert not thread.is_alive(), listener_address


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65_536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(body) < length:
            piece = connection.recv(65_536)
            if not piece:
                return b""
            body += piece
    except OSError:
        return b""
    return head + body


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
