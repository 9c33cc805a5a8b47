"""The HTTP server of the plane: a thread a connection, and connections that stay open.

werkzeug's own development server closes each connection after one answer; the SDKs ask much, and
what they send is read to its end here, so that the next request on the connection can be read.
"""

from __future__ import annotations

import logging
import socketserver
from collections.abc import Iterable
from http.server import HTTPServer
from typing import Any

LOG = logging.getLogger("kneighbors.local")

#: A connection on which nothing moves is closed.
_IDLE_S = 120
#: A body that nobody read is read to its end up to here; then the connection is closed instead.
_DRAIN_BYTES = 64 << 20
_PIECE_BYTES = 1 << 20


class Server(socketserver.ThreadingMixIn, HTTPServer):
    """A WSGI server on one address of this machine.

    Parameters
    ----------
    port : int
        0 for a free one.
    app : callable
        A WSGI application.
    request_handler : type
        moto's, which makes the environment that moto's applications understand.

    Raises
    ------
    OSError
        If the port is taken.
    """

    daemon_threads = True
    request_queue_size = 512
    multithread = True
    multiprocess = False
    ssl_context = None

    def __init__(self, port: int, app: Any, request_handler: Any) -> None:
        self.app = app
        super().__init__(("127.0.0.1", port), _handler(request_handler))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.port

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note what a connection died of."""
        LOG.exception("a connection failed")


class Body:
    """What a request's body has left, and no byte of the next request."""

    def __init__(self, stream: Any, length: int) -> None:
        self._stream = stream
        self.left = length

    def read(self, size: int | None = -1) -> bytes:
        """Return so many bytes, fewer at the end; all that is left by default."""
        wanted = self.left if size is None or size < 0 else min(size, self.left)
        data: bytes = self._stream.read(wanted) if wanted else b""
        if len(data) < wanted:
            raise ConnectionError("the client went away in the middle of a body")
        self.left -= len(data)
        return data

    def readline(self, size: int = -1) -> bytes:
        """Return a line, or what is left of one."""
        limit = self.left if size < 0 else min(size, self.left)
        data: bytes = self._stream.readline(limit) if limit else b""
        self.left -= len(data)
        return data

    def __iter__(self) -> Any:
        return iter(self.readline, b"")


def _handler(base: Any) -> Any:
    class Handler(base):  # type: ignore[misc]
        protocol_version = "HTTP/1.1"
        timeout = _IDLE_S
        wbufsize = -1
        disable_nagle_algorithm = True
        environ: Any = None

        def run_wsgi(self) -> None:
            # `Expect: 100-continue` has been answered where the headers were parsed.
            try:
                body = self._body()
            except ValueError:
                self.close_connection = True
                self.send_error(400, "the length of the body is no number")
                return
            try:
                self._answer(self.server.app(self.environ, self._start))
                if not self._is_drained(body):
                    self.close_connection = True
            except (ConnectionError, TimeoutError):
                self.close_connection = True
            except Exception:
                # Half an answer may be out already: only the end of the connection can say so.
                LOG.exception("an answer broke off")
                self.close_connection = True
            finally:
                # Until the next request comes, it would hold the body of this one.
                self.environ = None

        def version_string(self) -> str:
            return "kneighbors"

        def handle_expect_100(self) -> bool:
            going_on: bool = super().handle_expect_100()
            self.wfile.flush()  # the client waits for it before it sends the body
            return going_on

        def _body(self) -> Any:
            self.environ = self.make_environ()
            if self.environ.get("wsgi.input_terminated"):
                return self.environ["wsgi.input"]
            body = Body(self.rfile, int(self.environ.get("CONTENT_LENGTH") or 0))
            if body.left < 0:
                raise ValueError
            self.environ["wsgi.input"] = body
            return body

        def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            self._status, self._headers = status, headers
            return None

        def _answer(self, pieces: Iterable[bytes]) -> None:
            try:
                iterator = iter(pieces)
                first = next(iterator, b"")
                chunked = self._send_head()
                self._send(first, chunked)
                for piece in iterator:
                    self._send(piece, chunked)
                if chunked:
                    self.wfile.write(b"0\r\n\r\n")
                self.wfile.flush()
            finally:
                if hasattr(pieces, "close"):
                    pieces.close()

        def _send_head(self) -> bool:
            code, _, reason = self._status.partition(" ")
            names = {name.lower() for name, _ in self._headers}
            self.send_response(int(code), reason)
            for name, value in self._headers:
                if name.lower() not in ("connection", "server", "date"):
                    self.send_header(name, value)
            has_body = self.command != "HEAD" and code not in ("204", "304")
            chunked = has_body and "content-length" not in names
            if chunked and self.request_version == "HTTP/1.0":
                chunked, self.close_connection = False, True
            if chunked:
                self.send_header("Transfer-Encoding", "chunked")
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            return chunked

        def _send(self, piece: bytes, chunked: bool) -> None:
            if not piece or self.command == "HEAD":
                return
            if chunked:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()  # a stream is read as it comes
            else:
                self.wfile.write(piece)

        def _is_drained(self, body: Any) -> bool:
            total = 0
            while data := body.read(_PIECE_BYTES):
                total += len(data)
                if total > _DRAIN_BYTES:
                    return False
            return True

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            """Say nothing of what went well."""

        def log(self, kind: str, message: str, *args: Any) -> None:
            LOG.debug(message, *args)

    return Handler
