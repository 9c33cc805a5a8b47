"""A server started by the command line, as a person or a container would."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.cli_run import COMMAND, TIMEOUT_S, clean_environment


@dataclass
class Served:
    """A server that has said that it is ready."""

    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=TIMEOUT_S)


@contextmanager
def served(
    *arguments: str | Path,
    environ: Mapping[str, str] | None = None,
    command: Sequence[str] = (*COMMAND, "serve"),
) -> Iterator[Served]:
    """Start a server, wait for the line that says where it listens, and end it afterwards."""
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(environ or clean_environment()),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://[^ ]+", line)
        assert found, f"the server ended without a word: {line!r}"
        yield Served(process, found[0])
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        process.communicate(timeout=TIMEOUT_S)
