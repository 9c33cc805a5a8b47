"""A container that serves: its process, and the connections to it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, TimeoutError

if TYPE_CHECKING:
    from kneighbors.local.logs import LogWriter
    from kneighbors.local.plane import Plane

#: What AWS waits for an answer to a ping.
PING_TIMEOUT_S = 2.0

_CONNECT_TIMEOUT_S = 2.0
_CHUNK_BYTES = 1 << 18
_STOP_GRACE_S = 30.0

#: Connections that are kept for the next calls.
_CONNECTIONS = 256

#: Ports that were handed out and may not be bound yet; two containers must not get the same.
_recent_ports: list[int] = []
_ports_lock = threading.Lock()


class NoAnswer(Exception):
    """A container that closed its connection, or takes none."""


class AnswerTimedOut(Exception):
    """A container that did not answer in time."""


class AnswerTooLong(Exception):
    """An answer that is longer than allowed.

    Parameters
    ----------
    status : int
        Of the answer.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """What a container answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Served:
    """One container of an instance.

    Parameters
    ----------
    plane : Plane
    label : str
        What errors call it: ``primary``, or its host name in a pipeline.
    definition : dict
        A ContainerDefinition.
    home : Path
        Its directory; ``opt/ml`` is below it.
    log : LogWriter
    """

    def __init__(
        self, plane: Plane, label: str, definition: dict[str, Any], home: Path, log: LogWriter
    ) -> None:
        from kneighbors.local.containers import Container

        self.label = label
        self.home = home
        self.definition = definition
        self.port = _free_port()
        self._pool = HTTPConnectionPool("127.0.0.1", self.port, maxsize=_CONNECTIONS, retries=False)
        command = plane.images.command(definition["Image"], "serve")
        environment = _environment(definition, self.port)
        self._container = Container(plane, home, command, environment, log, label)

    def start(self) -> None:
        """Start the process; it need not answer yet."""
        self._container.start()

    @property
    def exit_code(self) -> int | None:
        """What the process ended with; None while it runs."""
        return self._container.poll()

    def ping(self) -> bool:
        """Tell whether it says that it is well."""
        try:
            return self._request("GET", "/ping", {}, b"", PING_TIMEOUT_S).status == 200
        except (NoAnswer, AnswerTimedOut, AnswerTooLong):
            return False

    def send(
        self, path: str, headers: Mapping[str, str], body: bytes, timeout_s: float, limit: int
    ) -> Answer:
        """Post a body and return the whole answer.

        Parameters
        ----------
        path : str
        headers : mapping of str to str
        body : bytes
        timeout_s : float
            For the whole answer.
        limit : int
            Most bytes of it.

        Raises
        ------
        NoAnswer, AnswerTimedOut, AnswerTooLong
        """
        return self._request("POST", path, headers, body, timeout_s, limit)

    def get(self, path: str, timeout_s: float) -> Answer:
        """Return what is at a path."""
        return self._request("GET", path, {}, b"", timeout_s)

    def delete(self, path: str, timeout_s: float) -> Answer:
        """Ask to remove something, and return the answer."""
        return self._request("DELETE", path, {}, b"", timeout_s)

    def open(
        self, path: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> BaseHTTPResponse:
        """Post a body and return the answer as soon as its headers are there.

        Its content is to be read by `pieces`.
        """
        return self._open("POST", path, headers, body, timeout_s)

    def stop(self, grace_s: float = _STOP_GRACE_S) -> None:
        """End the process and what it has started."""
        self._pool.close()
        self._container.stop(grace_s)

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        limit: int = 1 << 20,
    ) -> Answer:
        deadline = time.monotonic() + timeout_s
        response = self._open(method, path, headers, body, timeout_s)
        content = bytearray()
        for piece in pieces(response, deadline):
            content += piece
            if len(content) > limit:
                response.close()
                raise AnswerTooLong(response.status)
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, names, bytes(content))

    def _open(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> BaseHTTPResponse:
        timeout = Timeout(connect=min(_CONNECT_TIMEOUT_S, timeout_s), read=timeout_s)
        for is_last in (False, True):
            try:
                return self._pool.urlopen(
                    method,
                    path,
                    body=body,
                    headers=dict(headers),
                    timeout=timeout,
                    preload_content=False,
                    decode_content=False,
                    redirect=False,
                )
            except NewConnectionError as error:
                raise NoAnswer(str(error)) from error
            except TimeoutError as error:
                raise AnswerTimedOut from error
            except ProtocolError as error:
                # A kept connection that its server closed just now; a fresh one tells.
                if is_last or not isinstance(error.args[-1], ConnectionError):
                    raise NoAnswer(str(error)) from error
            except HTTPError as error:
                raise NoAnswer(str(error)) from error
        raise AssertionError("unreachable")


def pieces(response: BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
    """Yield an answer's content as it comes, then give its connection back.

    Raises
    ------
    NoAnswer, AnswerTimedOut
    """
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AnswerTimedOut
            _limit_wait(response, left)
            piece = response.read1(_CHUNK_BYTES)
            if not piece:
                break
            yield piece
        if response.length_remaining:
            raise NoAnswer(f"{response.length_remaining} bytes of the answer are missing")
        response.release_conn()
    except TimeoutError as error:
        raise AnswerTimedOut from error
    except (HTTPError, OSError) as error:
        raise NoAnswer(str(error)) from error
    finally:
        # Of an answer that was not read to its end, the rest must not reach the next request.
        response.close()


def _limit_wait(response: BaseHTTPResponse, seconds: float) -> None:
    connection = response.connection
    found = getattr(connection, "sock", None)
    if isinstance(found, socket.socket):
        with suppress(OSError):
            found.settimeout(seconds)


def _environment(definition: dict[str, Any], port: int) -> dict[str, str]:
    """Return a serving container's variables: the user's, then what the platform adds."""
    given = {
        # No proxy of AWS's images is needed, and nobody but this machine is to reach the server.
        "SAGEMAKER_USE_NGINX": "false",
        "KNEIGHBORS_HOST": "127.0.0.1",
        **definition.get("Environment", {}),
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    if definition.get("Mode") == "MultiModel":
        given["SAGEMAKER_MULTI_MODEL"] = "true"
    return given


def _free_port() -> int:
    with _ports_lock:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            if port not in _recent_ports:
                _recent_ports.append(port)
                del _recent_ports[:-256]
                return port
