"""The token and the certificate between a client and its service."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from kneighbors import Client
from kneighbors.client.token import with_token
from kneighbors.errors import ParameterRefused, ServiceError
from support.server_tls import write_certificate
from support.wire_model import make_model
from support.wire_server import serving

TOKEN = "a-token-of-a-client"


@pytest.mark.parametrize(
    ("token", "variable", "headers", "expected"),
    [
        (TOKEN, None, {}, f"Bearer {TOKEN}"),
        (TOKEN, "another", {}, f"Bearer {TOKEN}"),
        (None, f" {TOKEN}\n", {}, f"Bearer {TOKEN}"),
        (None, TOKEN, {"authorization": "Basic own"}, None),
        (None, " ", {}, None),
    ],
)
def test_a_token_is_given_or_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
    variable: str | None,
    headers: dict[str, str],
    expected: str | None,
) -> None:
    if variable is None:
        monkeypatch.delenv("KNEIGHBORS_TOKEN", raising=False)
    else:
        monkeypatch.setenv("KNEIGHBORS_TOKEN", variable)
    found = with_token(headers, token, is_endpoint=False)
    assert expected == found.get("Authorization")
    assert "Authorization" not in with_token({}, None, is_endpoint=True)


def test_it_goes_with_every_request() -> None:
    with serving(make_model()) as service, Client(service.url, token=TOKEN) as client:
        client.kneighbors(np.ones(4))
        assert TOKEN not in repr(client)
    assert f"Bearer {TOKEN}" == service.requests[-1]["Authorization"]


def test_a_token_that_would_break_the_request_is_refused_unshown() -> None:
    with pytest.raises(ParameterRefused) as refused:
        Client("http://x", token="geheim\r\nX: 1")
    assert "header-malformed" == refused.value.code
    assert "geheim" not in str(refused.value)


def test_an_endpoint_takes_no_token() -> None:
    with pytest.raises(ParameterRefused) as refused:
        Client("wines", token=TOKEN)
    assert "header-malformed" == refused.value.code


@contextmanager
def listening(certificate: Path, key: Path) -> Iterator[int]:
    """Agree on TLS with whoever connects, and answer a ping."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def answer(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(plain, server_side=True) as s:
                    s.recv(65_536)
                    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=[listener])
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(20)


@pytest.mark.parametrize(
    ("name", "days", "is_trusted"),
    [
        ("127.0.0.1", 1, True),
        ("127.0.0.1", 1, False),
        ("127.0.0.1", -1, True),
        ("wines.example", 1, True),
    ],
)
def test_a_certificate_is_good_if_it_is_known_current_and_of_that_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: int, is_trusted: bool
) -> None:
    certificate, key = write_certificate(tmp_path, name, days=days)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    is_good = (name, days, is_trusted) == ("127.0.0.1", 1, True)
    with listening(certificate, key) as port, Client(f"https://127.0.0.1:{port}") as client:
        assert is_good is client.ping()
        if not is_good:
            with pytest.raises(ServiceError) as refused:
                client.kneighbors([1.0, 2.0])
            assert "service-unreachable" == refused.value.code
