"""Requests over HTTP: connections that stay open, what is tried again, what an error means."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from kneighbors.errors import ParameterRefused, ServiceError, missing_extra

#: Pauses before a connection that could not be made is tried again, in seconds.
_PAUSES_S = (0.1, 0.2)
_MAX_QUOTED = 200
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class ServiceAnswerError(ServiceError):
    """The server answered, and said no.

    Parameters
    ----------
    code, message, where, hint
        As the server gave them; ``service-error`` and the beginning of the body, where the answer
        was not of its usual form.
    status : int
        The HTTP status.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(code, message, where=where, hint=hint)
        self.status = status

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.code, self.message, self.where, self.hint, self.status)


def _rebuild(
    code: str, message: str, where: str | None, hint: str | None, status: int
) -> ServiceAnswerError:
    return ServiceAnswerError(code, message, where=where, hint=hint, status=status)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back.

    Parameters
    ----------
    status : int
    content_type : str
        Empty if the answer named none.
    body : bytes
    """

    status: int
    content_type: str
    body: bytes


class Connection:
    """A pool of connections to one service.

    Parameters
    ----------
    url : str
        Where it listens.
    timeout, connect_timeout : float
        Seconds to wait for an answer, and for a connection.
    pool_size : int
        Connections kept open.
    headers : mapping of str to str
        Sent with every request.

    Raises
    ------
    ParameterRefused
        With code ``url-malformed``, ``header-malformed`` or ``timeout-range``.
    MissingExtra
        If urllib3 is not installed.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        connect_timeout: float,
        pool_size: int,
        headers: Mapping[str, str],
    ) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise missing_extra("urllib3", "client") from error
        self.url = _checked_url(url)
        self._headers = _checked_headers(headers)
        self._path = urlsplit(self.url).path
        self._open = partial(
            urllib3.connection_from_url, self.url, maxsize=pool_size, retries=False
        )
        try:
            self._timeout = urllib3.Timeout(connect=connect_timeout, read=timeout)
        except ValueError as error:
            raise ParameterRefused(
                "timeout-range", f"Expected positive numbers of seconds: {error}"
            ) from error
        self._pool = self._open()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> HttpAnswer:
        """Send a request and return whatever answer comes.

        Raises
        ------
        ServiceError
            With code ``service-unreachable`` or ``service-timeout``.

        Notes
        -----
        A connection that cannot be made is tried three times; one that was closed before the
        answer, as a server does with one that has been idle, twice. An answer that takes too long
        is not asked for again.
        """
        from urllib3 import exceptions as faults

        pauses = iter(_PAUSES_S)
        dropped = False
        while True:
            try:
                answer = self._pool.request(
                    method,
                    self._path + path,
                    body=body,
                    headers={**self._headers, **headers},
                    timeout=self._timeout,
                    redirect=False,
                )
                kind = answer.headers.get("Content-Type", "")
                return HttpAnswer(answer.status, kind, answer.data)
            except (faults.NewConnectionError, faults.ConnectTimeoutError) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise self._unreachable(error) from error
                time.sleep(pause)
            except faults.ReadTimeoutError as error:
                raise ServiceError(
                    "service-timeout",
                    f"Expected an answer within {self._timeout.read_timeout} s, got none.",
                    where=self.url + path,
                ) from error
            except faults.ProtocolError as error:
                if dropped:
                    raise self._unreachable(error) from error
                dropped = True
            except faults.HTTPError as error:
                raise self._unreachable(error) from error

    def post(self, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """Return the answer of ``/invocations``.

        Raises
        ------
        ServiceAnswerError
            Where the status is not 200.
        ServiceError
            As `request` raises it.
        """
        answer = self.request("POST", "/invocations", body, headers)
        if answer.status != 200:
            raise refusal(answer)
        return answer

    def ping(self) -> bool:
        """Tell whether the service is up and ready; False also where nothing can be reached."""
        try:
            return self.request("GET", "/ping").status == 200
        except ServiceError:
            return False

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        closing, self._pool = self._pool, self._open()
        closing.close()

    def _unreachable(self, error: Exception) -> ServiceError:
        return ServiceError(
            "service-unreachable",
            f"Expected a service, got: {error}.",
            where=self.url,
            hint="Is it running, and is the address right?",
        )


def refusal(answer: HttpAnswer) -> ServiceAnswerError:
    """Return the error that a service's answer tells of: its own, where it is of our form."""
    try:
        fault: Any = json.loads(answer.body)["error"]
        texts = [fault.get(name) for name in ("code", "message", "where", "hint")]
        code, message, where, hint = (None if one is None else str(one) for one in texts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        code = message = where = hint = None
    if code is None or message is None:
        text = answer.body[:_MAX_QUOTED].decode("utf-8", "replace")
        code, message = "service-error", f"Expected neighbours, got HTTP {answer.status}: {text!r}."
    return ServiceAnswerError(code, message, where=where, hint=hint, status=answer.status)


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not (_HEADER_NAME.fullmatch(name) and value.isascii() and value.isprintable()):
            # The value may be a secret, so it is not shown.
            raise ParameterRefused(
                "header-malformed", f"Expected a header of visible ASCII characters in {name!r}."
            )
    return dict(headers)


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not (parts.query or parts.fragment or parts.username or parts.password)
        )
    except (ValueError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise ParameterRefused(
            "url-malformed",
            f"Expected an address such as 'http://127.0.0.1:8080', got {url!r}.",
            hint="Credentials go into headers.",
        )
    return url.rstrip("/").removesuffix("/invocations").rstrip("/")
