"""``kneighbors serve`` as an application of Ray Serve, which keeps it up.

Ray Serve takes no requests for it: the server listens by itself, with its own limits and deadlines.
KubeRay's `RayService` runs nothing but applications of Ray Serve; this is ours.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any
from urllib.request import urlopen

from kneighbors.errors import missing_extra

#: Seconds until a server that was started must answer; shards are read before it does.
START_S = 600.0
_PING_S = 2.0
_BETWEEN_S = 0.2
_STOP_S = 30.0


class Front:
    """A server in a process of its own; the class of the deployment.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``kneighbors serve``.
    port : int
        Where it listens.

    Raises
    ------
    RuntimeError
        If it ends before it answers, or does not answer within `START_S`.
    """

    def __init__(self, arguments: Sequence[str], port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/ping"
        self._process = subprocess.Popen(  # noqa: S603, what the manifest says
            [sys.executable, "-m", "kneighbors", "serve", *map(str, arguments)]
        )
        until = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self._end()
                raise RuntimeError("kneighbors serve ended, or did not answer; its log says why")
            time.sleep(_BETWEEN_S)

    def check_health(self) -> None:
        """Raise if the server does not answer; Ray Serve then makes another.

        Raises
        ------
        RuntimeError
        """
        if not self._answers():
            raise RuntimeError(f"Expected {self._url} to answer, got none.")

    def __del__(self) -> None:
        """End the server; Ray Serve calls it after the last request."""
        self._end()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            return False
        try:
            with urlopen(self._url, timeout=_PING_S) as answer:  # noqa: S310, it is ours
                return bool(answer.status == 200)
        except OSError:
            return False

    def _end(self) -> None:
        process = getattr(self, "_process", None)
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def application(args: dict[str, Any]) -> Any:
    """Return the application; Ray Serve calls it with ``args`` of its configuration.

    Parameters
    ----------
    args : dict
        ``arguments`` and ``port`` of `Front`.

    Raises
    ------
    MissingExtra
        Where Ray is not installed.
    """
    try:
        from ray import serve
    except ImportError as error:
        raise missing_extra("ray[serve]", "ray") from error
    return serve.deployment(name="Front")(Front).bind(args["arguments"], args["port"])
