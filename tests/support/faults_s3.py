"""A proxy before an S3 of this machine, which lets the N-th request meet a fault."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from support.storage_servers import refusal

#: Name of a fault to what the client gets in place of an answer.
_REFUSALS = {
    "500": (500, "InternalError"),
    "SlowDown": (503, "SlowDown"),
    "403": (403, "AccessDenied"),
    "expired": (400, "ExpiredToken"),
}
#: Faults after which a client may ask again, and then gets its answer.
PASSING = ("500", "SlowDown", "unheard", "unanswered", "cut", "slow")
LASTING = ("403", "expired")


class FaultyS3:
    """A server that passes requests on.

    Parameters
    ----------
    url : str
        Of the S3 behind it.

    Attributes
    ----------
    url : str
        Its own.
    hit : str or None
        The request that met the fault.
    """

    def __init__(self, url: str) -> None:
        self._behind = urlsplit(url).netloc
        self._lock = threading.Lock()
        self.calm()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                with suppress(ConnectionError):
                    proxy._handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def arm(self, fault: str, nth: int, *, for_ever: bool = False) -> None:
        """Let the N-th request from now on meet a fault, or all from that one on."""
        self._fault, self._nth, self._for_ever = fault, nth, for_ever
        self.count = 0
        self.hit: str | None = None

    def calm(self) -> None:
        """Let nothing meet a fault any more."""
        self.arm("none", 0)

    def run(self, action: Callable[[], object]) -> Exception | None:
        """Do something, and return what it raised; then all is calm again."""
        try:
            action()
        except Exception as error:
            return error
        finally:
            self._nth = 0
        return None

    def _fault_of(self, what: str) -> str | None:
        with self._lock:
            self.count += 1
            is_it = self.count == self._nth or (self._for_ever and self.count > self._nth > 0)
            if is_it:
                self.hit = self.hit or what
            return self._fault if is_it else None

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length)
        fault = self._fault_of(f"{request.command} {request.path}")
        if fault in _REFUSALS:
            answer = refusal(*_REFUSALS[fault])
            _answer(request, answer.status, answer.headers, answer.body)
            return
        if fault == "unheard":
            request.close_connection = True
            return
        if fault == "slow":
            time.sleep(0.05)
        status, headers, data = self._passed_on(request, body)
        if fault == "unanswered":
            request.close_connection = True
        elif fault == "cut":
            request.close_connection = True
            _answer(request, status, headers, data, len(data) // 2)
        else:
            _answer(request, status, headers, data)

    def _passed_on(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._behind, timeout=30)
        try:
            connection.request(request.command, request.path, body, dict(request.headers))
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def __enter__(self) -> FaultyS3:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _answer(
    request: BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, str],
    body: bytes,
    length: int | None = None,
) -> None:
    request.send_response_only(status)
    kept = {name.lower(): value for name, value in headers.items()}
    kept.pop("transfer-encoding", None)
    kept.pop("connection", None)
    kept.setdefault("content-length", str(len(body)))
    for name, value in kept.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body[:length])
