"""HTTPS by the server's own means: who is let in, who is let go, and how certificates change."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kneighbors.errors import ParameterRefused
from kneighbors.server.settings import Settings
from kneighbors.server.tls import watched_context
from support.server_process import ServerProcess, wait_for
from support.server_raw import connect, is_closed_by_server, read_response, receive_all, split
from support.server_tls import connect_tls, serial_of, write_certificate

GET = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
#: A client's first words, cut short.
HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def server(artifact: Path, folder: Path) -> Iterator[ServerProcess]:
    certificate, key = write_certificate(folder)
    with ServerProcess(
        folder,
        artifact,
        workers=1,
        tls_certificate=str(certificate),
        tls_key=str(key),
        header_timeout_s=1.0,
        body_timeout_s=1.0,
        max_connections=20,
    ) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.output()


@pytest.fixture
def certificate(folder: Path, server: ServerProcess) -> Path:
    return folder / "certificate.pem"


def is_well(port: int, certificate: Path) -> bool:
    with connect_tls(port, certificate) as s:
        s.sendall(GET)
        return read_response(s).status == 200


def test_the_line_of_the_start_says_https(server: ServerProcess) -> None:
    assert " on https://127.0.0.1:" in server.out


def test_what_is_asked_is_answered(server: ServerProcess, certificate: Path) -> None:
    vector = b"[" + b",".join([b"1"] * 16) + b"]"
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(vector) + vector
    with connect_tls(server.port, certificate) as s:
        assert s.version() in ("TLSv1.2", "TLSv1.3")
        s.sendall(request * 3)
        received = b""
        while received.count(b"HTTP/1.1 200") < 3 or not received.endswith(b"]]"):
            received += s.recv(65_536)


def test_a_refusal_is_read_though_more_was_sent_than_is_taken(
    server: ServerProcess, certificate: Path
) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n"
    for _ in range(5):
        with connect_tls(server.port, certificate) as s:
            s.sendall(head)
            with suppress(OSError):
                s.sendall(bytes(3_000_000))
            response = read_response(s)
            assert (413, "close") == (response.status, response.headers["connection"])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_two_versions_of_tls_are_spoken(
    server: ServerProcess, certificate: Path, version: ssl.TLSVersion
) -> None:
    bounds = {"minimum_version": version, "maximum_version": version}
    with connect_tls(server.port, certificate, **bounds) as s:
        s.sendall(GET)
        assert 200 == read_response(s).status


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_older_versions_are_not(server: ServerProcess, certificate: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        connect(server.port) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
        context.wrap_socket(plain, server_hostname="127.0.0.1"),
    ):
        pass
    assert is_well(server.port, certificate)


@pytest.mark.parametrize("said", [GET, b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 50, b"SSH-2"])
def test_what_is_no_tls_is_closed(server: ServerProcess, certificate: Path, said: bytes) -> None:
    with connect(server.port) as s:
        s.sendall(said)
        assert is_closed_by_server(s, 4.0)
    assert is_well(server.port, certificate)


@pytest.mark.parametrize("said", [b"", b"\x16", HELLO])
def test_half_a_handshake_ends_at_the_deadline(
    server: ServerProcess, certificate: Path, said: bytes
) -> None:
    begin = time.monotonic()
    with connect(server.port) as s:
        s.sendall(said)
        assert is_closed_by_server(s, 8.0)
    assert 0.8 < time.monotonic() - begin < 5
    assert is_well(server.port, certificate)


def test_more_handshakes_than_connections_are_not_waited_for(
    server: ServerProcess, certificate: Path
) -> None:
    held = [connect(server.port) for _ in range(60)]
    try:
        wait_for(lambda: sum(_is_closed(s) for s in held) >= 30, "the excess to be closed", 5)
    finally:
        for s in held:
            s.close()
    wait_for(lambda: _may_connect(server.port, certificate), "room for a handshake", 5)


def _is_closed(s: socket.socket) -> bool:
    s.setblocking(False)
    try:
        return s.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def _may_connect(port: int, certificate: Path) -> bool:
    try:
        return is_well(port, certificate)
    except OSError:
        return False


def test_a_dripping_client_gets_408(server: ServerProcess, certificate: Path) -> None:
    with connect_tls(server.port, certificate) as s:
        s.sendall(GET[:-2])
        response, _ = split(receive_all(s))
    assert (408, "header-timeout") == (response.status, response.error["code"])


def test_a_certificate_changes_without_a_restart(artifact: Path, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    before = both.stat()
    with ServerProcess(tmp_path, artifact, workers=1, tls_certificate=str(both)) as server:
        workers = server.workers()
        first = serial_of(server.port)
        with connect_tls(server.port, both) as old:
            certificate, key = write_certificate(tmp_path)
            both.write_bytes(certificate.read_bytes() + key.read_bytes())
            wait_for(lambda: serial_of(server.port) != first, "the second certificate")
            second = serial_of(server.port)
            both.write_bytes(certificate.read_bytes())
            wait_for(lambda: _says(server, "tls-files"), "the fault to be logged")
            assert second == serial_of(server.port)
            both.write_bytes(certificate.read_bytes() + key.read_bytes())
            os.utime(both, ns=(before.st_atime_ns, before.st_mtime_ns))
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: _says(server, "read again: "), "the files to be read")
            old.sendall(GET)
            assert 200 == read_response(old).status
        assert workers == server.workers()


def _says(server: ServerProcess, what: str) -> bool:
    serial_of(server.port)
    return what in server.output()


def test_a_certificate_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path) -> None:
    for name in ("one", "other", "locked"):
        (tmp_path / name).mkdir()
    certificate, key = write_certificate(tmp_path / "one")
    _, other = write_certificate(tmp_path / "other")
    _, locked = write_certificate(tmp_path / "locked", password=b"secret")
    empty = tmp_path / "empty"
    empty.touch()
    for pair in (
        (tmp_path / "none", key),
        (certificate, tmp_path / "none"),
        (certificate, other),
        (certificate, locked),
        (empty, key),
        (tmp_path, key),
    ):
        with pytest.raises(ParameterRefused) as refused:
            watched_context(Settings(tls_certificate=str(pair[0]), tls_key=str(pair[1])))
        assert "tls-files" == refused.value.code
