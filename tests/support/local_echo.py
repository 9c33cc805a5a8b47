"""A container that answers with what it got: run as ``python local_echo.py serve``."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    """Answers a line with its length; a line ``fail`` with an error of the client's.

    With a variable ``ANSWER`` it answers with something else: ``environment`` gives its own
    variables, ``batches`` how many lines it got at once.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parameters = os.environ.get("PARAMETERS")
        if self.path == "/ping":
            self._send(200, b"")
        elif self.path == "/execution-parameters" and parameters:
            self._send(200, parameters.encode())
        else:
            self._send(404, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        lines = body.decode(errors="replace").splitlines()
        kind = os.environ.get("ANSWER", "lengths")
        if "fail" in lines:
            self._send(400, b"a line says fail")
        elif "die" in lines:
            os._exit(1)
        elif kind == "environment":
            self._send(200, json.dumps(dict(os.environ)).encode())
        elif kind == "batches":
            self._send(200, str(len(lines)).encode())
        elif kind == "same":
            self._send(200, body)
        else:
            self._send(200, "\n".join(str(len(line)) for line in lines).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    address = ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
    ThreadingHTTPServer(address, Echo).serve_forever()
