"""S3 on the loopback: moto's server or Ceph's, which behave, and a scripted one, which does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

#: Every variable that could lead a test out of this machine, or to the developer's own account.
_OUTSIDE = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_SKIP_SIGNATURE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
)

#: Serves until its stdin ends, as it does with whoever started it.
_MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


def use_endpoint(monkeypatch: pytest.MonkeyPatch, url: str, attempts: int = 2) -> None:
    """Point the usual variables of AWS at `url`, and nothing anywhere else."""
    for name in _OUTSIDE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-shown")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", str(attempts))


@contextmanager
def s3_server() -> Iterator[str]:
    """Run an S3 server on a free port of the loopback; give its URL.

    It is moto's, or Ceph's gateway where the variable `KNEIGHBORS_S3_SERVER` says ``ceph``.
    """
    if os.environ.get("KNEIGHBORS_S3_SERVER") == "ceph":
        from support.ceph import gateway, is_installed

        if not is_installed():
            pytest.skip("Ceph is not unpacked: scripts/ceph")
        with tempfile.TemporaryDirectory(prefix="ceph-") as folder, gateway(Path(folder)) as url:
            yield url
        return
    # A process of its own: what a test does to its own, with limits or forks, is nothing to it.
    with subprocess.Popen(
        [sys.executable, "-c", _MOTO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


def aws_client(url: str) -> Any:
    """Return boto3's client, the other implementation that ours is held against."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="never-shown",
    )


@dataclass
class Asked:
    """One request that the scripted server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """One answer; with `breaks_after`, the connection ends after so many bytes of the body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    breaks_after: int | None = None


def refusal(status: int, code: str) -> Answer:
    """Return an error as S3 words it, with the access key that S3 would quote."""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>words</Message>'
        "<AWSAccessKeyId>testing</AWSAccessKeyId><StringToSign>never-shown</StringToSign></Error>"
    )
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})


def part_of(data: bytes, asked: Asked, e_tag: str = '"v1"') -> Answer:
    """Answer HEAD and GET of one object, with ranges, as S3 does."""
    headers = {
        "ETag": e_tag,
        "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT",
        "Content-Length": str(len(data)),
    }
    if asked.method == "HEAD":
        return Answer(200, b"", headers)
    if asked.headers.get("if-match", e_tag) != e_tag:
        return refusal(412, "PreconditionFailed")
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.headers["range"])
    assert found
    start, stop = int(found[1]), min(int(found[2]) + 1, len(data))
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    headers["Content-Length"] = str(stop - start)
    return Answer(206, data[start:stop], headers)


class ScriptedServer:
    """A server that answers as a function says, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.asked: list[Asked] = []
        self.answer = answer
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, self.rfile.read(length))
                script.asked.append(asked)
                answer = script.answer(asked)
                self.send_response(answer.status)
                length_set = "Content-Length" in answer.headers
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if not length_set:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body[: answer.breaks_after])
                if answer.breaks_after is not None:
                    self.close_connection = True

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
