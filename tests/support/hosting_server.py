"""What containers of the tests run: a server of the standard library, told what to do by requests.

``python hosting_server.py serve``. A request to /invocations is a JSON object whose member ``do``
names one of `Handler`'s methods.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Whoever only looks for examples imports this without a container around it.
BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
LOADED: dict[str, str] = {}
CAPACITY = int(os.environ.get("CAPACITY", "2"))
UNWELL: list[bool] = []


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        if self.path == "/ping":
            self.answer(503 if UNWELL or os.environ.get("PING") == "never" else 200, b"")
        elif self.path == "/models":
            self.as_json({"models": [{"modelName": n, "modelUrl": u} for n, u in LOADED.items()]})
        else:
            self.answer(404, b"")

    def do_DELETE(self) -> None:
        known = LOADED.pop(self.path.rpartition("/")[2], None)
        self.answer(404 if known is None else 200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/models":
            self.load(json.loads(body))
            return
        version = BASE / "model/version.txt"
        if self.path.startswith("/models/"):
            name = self.path.split("/")[2]
            if name not in LOADED:
                self.answer(404, b"not loaded")
                return
            version = Path(LOADED[name]) / "version.txt"
        self.version = version.read_text() if version.exists() else "none"
        request = json.loads(body) if body.startswith(b"{") else {"do": "echo", "body": body}
        getattr(self, f"on_{request['do']}")(request)

    def load(self, request: dict[str, str]) -> None:
        if request["model_name"] in LOADED:
            self.answer(409, b"loaded")
        elif len(LOADED) >= CAPACITY:
            self.answer(507, b"full")
        elif not Path(request["url"]).is_dir():
            self.answer(404, b"no such directory")
        elif (Path(request["url"]) / "broken").exists():
            self.answer(500, b"the model is broken")
        else:
            LOADED[request["model_name"]] = request["url"]
            say(f"loaded {request['url']}")
            self.answer(200, b"")

    def on_echo(self, request: dict[str, Any]) -> None:
        self.answer(200, request["body"], {"Content-Type": "application/octet-stream"})

    def on_version(self, request: dict[str, Any]) -> None:
        self.as_json({"version": self.version, "pid": os.getpid()})

    def on_headers(self, request: dict[str, Any]) -> None:
        self.as_json(
            {name.lower(): value for name, value in self.headers.items()},
            {"X-Amzn-SageMaker-Custom-Attributes": "seen=1", "X-Secret": "1"},
        )

    def on_environment(self, request: dict[str, Any]) -> None:
        self.as_json(dict(os.environ))

    def on_files(self, request: dict[str, Any]) -> None:
        model = BASE / "model"
        self.as_json(
            {str(path.relative_to(model)): path.read_text() for path in model.rglob("*.txt")}
        )

    def on_sleep(self, request: dict[str, Any]) -> None:
        time.sleep(request["seconds"])
        self.on_version(request)

    def on_fail(self, request: dict[str, Any]) -> None:
        self.answer(request["status"], request["message"].encode(), {"Content-Type": "text/plain"})

    def on_big(self, request: dict[str, Any]) -> None:
        self.answer(200, bytes(request["size"]))

    def on_die(self, request: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def on_sicken(self, request: dict[str, Any]) -> None:
        UNWELL.append(True)
        self.as_json({"pid": os.getpid()})

    def on_stream(self, request: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in request["pieces"]:
            if piece == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            elif isinstance(piece, float):
                time.sleep(piece)
            else:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece.encode()))
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def as_json(self, document: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(document).encode()
        self.answer(200, data, {"Content-Type": "application/json", **(headers or {})})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


def main() -> None:
    assert sys.argv[1:] == ["serve"], sys.argv
    if (code := os.environ.get("EXIT")) is not None:
        say("cannot serve")
        sys.exit(int(code))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler)
    server.daemon_threads = True
    server.socket.listen(128)
    say("serving")
    server.serve_forever()


if __name__ == "__main__":
    main()
