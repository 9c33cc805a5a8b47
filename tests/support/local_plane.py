"""A local control plane as a process of its own, and clients for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from support.server_process import ROOT, wait_for

#: What a program of the tests must not bring with it.
_FOREIGN = ("AWS_", "KNEIGHBORS_LOCAL")


class PlaneProcess:
    """A plane that is up.

    Parameters
    ----------
    root : Path
    *options : str
        Of ``python -m kneighbors.local``.
    environment : dict, optional
        Variables beside the test's own.
    """

    def __init__(
        self, root: Path, *options: str, environment: dict[str, str] | None = None
    ) -> None:
        self.root = root
        self.environment = environment or {}
        self.options = options
        root.mkdir(parents=True, exist_ok=True)
        self.log = root / "plane.log"
        self._clients: dict[str, Any] = {}
        self.start()

    def start(self) -> None:
        """Start it, once more after `kill` or `stop`, and wait until it answers."""
        begun = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kneighbors.local", "--root", str(self.root), *self.options],
                stdout=log,
                stderr=log,
                env=clean_environment() | {"PYTHONPATH": str(ROOT / "src")} | self.environment,
                start_new_session=True,
            )

        def is_ready() -> bool:
            said = self.log.read_bytes()[begun:]
            assert self.process.poll() is None, f"the plane ended: {said.decode()}"
            return b"\nready: " in b"\n" + said

        wait_for(is_ready, "the plane to be ready", 60)
        self.settings: dict[str, Any] = json.loads((self.root / "plane.json").read_text())
        self.url = str(self.settings["url"])
        self._clients.clear()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self, seconds: float = 60) -> int:
        """Ask it to end, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def restart(self) -> None:
        """Kill it and start it on the same root."""
        self.kill()
        self.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def role(self) -> str:
        """The role that jobs and models take."""
        return "arn:aws:iam::123456789012:role/KNeighborsLocal"

    def client(self, service: str, **options: Any) -> Any:
        """Return a client of boto3 that tries everything once; without options, always the same."""
        if options or service not in self._clients:
            config = Config(
                retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=90, **options
            )
            client = boto3.client(
                service,
                endpoint_url=self.url,
                region_name="us-east-1",
                aws_access_key_id=self.settings["access_key"],
                aws_secret_access_key=self.settings["secret_key"],
                aws_session_token=self.settings["token"],
                config=config,
            )
            if options:
                return client
            self._clients[service] = client
        return self._clients[service]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients.values():
            client.close()
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()


def clean_environment() -> dict[str, str]:
    """Return this process's variables, without what would lead to an account or another plane."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
