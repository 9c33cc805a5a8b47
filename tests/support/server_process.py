"""A server as a process of its own, and what a test may do to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0

_PROGRAM = """
import json, sys
from support.server_slow import run
sys.exit(run(json.loads(sys.argv[1])))
"""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Return what the condition gives as soon as it is true; fail after the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)
    return value


class ServerProcess:
    """A running server.

    Parameters
    ----------
    folder : Path
        For its output.
    model : Path or str
        What to serve.
    ready : bool
        Whether to wait for the line that says so.
    environment : dict, optional
        Variables beside the test's own.
    **settings
        Of the server; and for `support.server_slow`, ``delay_s`` and ``gate``.
    """

    def __init__(
        self,
        folder: Path,
        model: Path | str,
        *,
        ready: bool = True,
        environment: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        settings = {"port": 0, "model": str(model), **settings}
        variables = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", _PROGRAM, json.dumps(settings)],
                stdout=out,
                stderr=err,
                env=variables | (environment or {}),
                start_new_session=True,
            )
        self.port = int(settings["port"])
        if ready:
            self.wait_until_ready()

    def wait_until_ready(self) -> str:
        """Return the line that says so, having noted the port."""

        def line() -> re.Match[str] | None:
            assert self.process.poll() is None, f"the server ended: {self.output()}"
            return re.search(r"^Serving .* on https?://\S+?:(\d+) .*$", self._out.read_text(), re.M)

        found: re.Match[str] = wait_for(line, "the server to be ready")
        self.port = int(found[1])
        return found[0]

    def output(self) -> str:
        """Return all that it has written."""
        return self._out.read_text() + self._err.read_text()

    @property
    def out(self) -> str:
        """What it has written to stdout."""
        return self._out.read_text()

    def workers(self) -> list[int]:
        """Return the ids of the processes that answer."""
        pid = self.process.pid
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 20,
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers in lower case, and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return (
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def ping(self) -> int:
        """Return the status of /ping."""
        return self.request("GET", "/ping")[0]

    def metric(self, sample: str) -> float:
        """Return the value of one line of /metrics; 0 if it is not there."""
        text = self.request("GET", "/metrics")[2].decode()
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.M)
        return float(found[1]) if found else 0.0

    def stop(self, number: int = signal.SIGTERM, seconds: float = PATIENCE_S) -> int:
        """Send a signal to the parent; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
