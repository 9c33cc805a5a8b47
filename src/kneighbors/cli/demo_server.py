"""A server as a process of its own, for the length of a ``with`` block."""

from __future__ import annotations

import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ServiceError

_HOST = "127.0.0.1"
_NPY = "application/x-npy"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 35.0
_LOG_TAIL_BYTES = 4000


class DemoServer:
    """``kneighbors serve`` on a free port of this machine.

    Parameters
    ----------
    model : Path
        The artifact.

    Attributes
    ----------
    url : str
        Where it listens.
    ready_s : float
        Seconds from the command to the first ping that was answered with 200.
    """

    def __init__(self, model: Path) -> None:
        self._model = model
        self._port = _free_port()
        self.url = f"http://{_HOST}:{self._port}"
        self.ready_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._log: BinaryIO | None = None
        self._connection: http.client.HTTPConnection | None = None

    @property
    def command(self) -> list[str]:
        """What a person would type, with this very interpreter in place of ``kneighbors``."""
        serve = ["-m", "kneighbors", "serve", str(self._model)]
        return [sys.executable, *serve, "--host", _HOST, "--port", str(self._port)]

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        began = time.perf_counter()
        try:
            # A group of its own: an interrupt from the keyboard is for the demo, which ends it.
            self._process = subprocess.Popen(  # noqa: S603
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._wait_for_ping(began)
        except BaseException:
            self._stop()
            raise
        self.ready_s = time.perf_counter() - began
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def predict(self, vector: NDArray[Any]) -> NDArray[np.float64]:
        """Post an array and return what comes back, as the SageMaker SDK's predictor does.

        Parameters
        ----------
        vector : ndarray of shape (n_features,) or (n_queries, n_features)

        Returns
        -------
        ndarray of shape (2, n_neighbors) or (2, n_queries, n_neighbors), dtype float64
            Distances over rows.

        Raises
        ------
        ServiceError
            If the answer is not 200.
        """
        body = io.BytesIO()
        np.save(body, vector, allow_pickle=False)
        headers = {"Content-Type": _NPY, "Accept": _NPY}
        connection = self._connection or http.client.HTTPConnection(_HOST, self._port, timeout=60)
        self._connection = connection
        connection.request("POST", "/invocations", body.getvalue(), headers)
        response = connection.getresponse()
        data = response.read()
        if response.status != 200:
            text = data.decode(errors="replace")
            raise ServiceError("service-error", f"Expected 200, got {response.status}: {text}.")
        answer: NDArray[np.float64] = np.load(io.BytesIO(data), allow_pickle=False)
        return answer

    def _wait_for_ping(self, began: float) -> None:
        if self._process is None:
            raise RuntimeError("the server was not started")
        while True:
            if self._process.poll() is not None:
                raise self._failure(f"it ended with exit code {self._process.returncode}")
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(_HOST, self._port, timeout=2)
                try:
                    connection.request("GET", "/ping")
                    if connection.getresponse().status == 200:
                        return
                finally:
                    connection.close()
            if time.perf_counter() - began > _START_TIMEOUT_S:
                raise self._failure(f"it did not answer within {_START_TIMEOUT_S:.0f} s")
            time.sleep(0.01)

    def _failure(self, what: str) -> ServiceError:
        tail = ""
        if self._log is not None:
            self._log.seek(0, os.SEEK_END)
            self._log.seek(max(0, self._log.tell() - _LOG_TAIL_BYTES))
            tail = self._log.read().decode(errors="replace").strip()
        return ServiceError(
            "service-unreachable",
            f"Expected a server at {self.url}, but {what}.",
            hint=f"Its last words: {tail}" if tail else None,
        )

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            try:
                self._process.terminate()
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                pass
            finally:
                # Whatever is left of its group, workers included.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        if self._log is not None:
            self._log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
