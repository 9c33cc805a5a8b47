"""Who may ask a server that has tokens, how they change, and where they must not be seen."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from kneighbors.errors import ParameterRefused
from kneighbors.server.guard import is_loopback
from kneighbors.server.settings import Settings
from kneighbors.server.tokens import Tokens
from support.server_process import ServerProcess, wait_for
from support.server_raw import connect, exchange, receive_all

FIRST, SECOND, THIRD = "first-token-of-three", "second.token~of/three", "thirdTokenOfThree=="
VECTOR = json.dumps([1.0] * 16).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def guarded(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tokens").write_text(f"# of clients\n{SECOND}\n\n  {THIRD}\n")
    with ServerProcess(
        folder,
        artifact,
        workers=1,
        log_level="info",
        environment={"KNEIGHBORS_AUTH_TOKEN": FIRST},
        auth_token_file=str(folder / "tokens"),
        explorer="true",
    ) as running:
        yield running
        assert running.stop() == 0
        for token in (FIRST, SECOND, THIRD):
            assert token not in running.output()
            assert base64.b64encode(f":{token}".encode()).decode() not in running.output()


def ask(server: ServerProcess, authorization: str | None, path: str = "/invocations") -> int:
    given = {} if authorization is None else {"Authorization": authorization}
    method = "POST" if path == "/invocations" else "GET"
    return server.request(method, path, VECTOR if method == "POST" else None, JSON | given)[0]


@pytest.mark.parametrize("token", [FIRST, SECOND, THIRD])
def test_each_of_several_tokens_opens_every_path(guarded: ServerProcess, token: str) -> None:
    for path in ("/invocations", "/metrics", "/openapi.json", "/execution-parameters", "/explorer"):
        assert 200 == ask(guarded, f"Bearer {token}", path)
    assert 200 == ask(guarded, f"bEARER   {token}")


@pytest.mark.parametrize(
    "path", ["/invocations", "/metrics", "/openapi.json", "/explorer", "/nothing", "/ping/"]
)
def test_without_a_token_nothing_but_ping_is_answered(guarded: ServerProcess, path: str) -> None:
    status, headers, body = guarded.request("GET", path)
    assert (401, "token-missing") == (status, json.loads(body)["error"]["code"])
    assert 'Bearer realm="kneighbors"' in headers["www-authenticate"]
    assert 200 == guarded.ping()


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("Bearer", "token-missing"),
        ("Bearer ", "token-missing"),
        (FIRST, "token-missing"),
        (f"Digest {FIRST}", "token-missing"),
        (f"Bearer {FIRST[:-1]}", "token-unknown"),
        (f"Bearer {FIRST}x", "token-unknown"),
        (f"Bearer {FIRST} {FIRST}", "token-unknown"),
        (f"Bearer {FIRST.upper()}", "token-unknown"),
        ("Bearer t\xf6k\xe9n-of-latin-letters", "token-unknown"),
        ("Bearer " + "x" * 12_000, "token-unknown"),
        ("Basic !", "token-missing"),
        ("Basic " + base64.b64encode(b"nobody:wrong").decode(), "token-unknown"),
    ],
)
def test_anything_else_is_refused(guarded: ServerProcess, authorization: str, code: str) -> None:
    status, _, body = guarded.request(
        "POST", "/invocations", VECTOR, JSON | {"Authorization": authorization}
    )
    assert (401, code) == (status, json.loads(body)["error"]["code"])


def test_two_headers_are_no_token(guarded: ServerProcess) -> None:
    line = f"Authorization: Bearer {FIRST}\r\n".encode()
    request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + line * 2 + b"\r\n"
    assert [401] == [one.status for one in exchange(guarded.port, request)]


def test_a_token_of_a_megabyte_is_too_large_a_header(guarded: ServerProcess) -> None:
    line = b"Authorization: Bearer " + b"x" * (1 << 20)
    request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n"
    assert [431] == [one.status for one in exchange(guarded.port, request)]


def test_a_refused_body_is_not_asked_for(guarded: ServerProcess) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
    head += b"Connection: close\r\nContent-Length: 5\r\n\r\n"
    responses = exchange(guarded.port, head + b"[1,2]")
    assert [401] == [one.status for one in responses]


def test_a_browser_brings_the_token_of_the_page_as_a_password(guarded: ServerProcess) -> None:
    pair = base64.b64encode(f"anybody:{SECOND}".encode()).decode()
    assert 200 == ask(guarded, f"Basic {pair}", "/explorer")
    with connect(guarded.port) as s:
        s.sendall(b"GET /explorer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b'www-authenticate: Basic realm="kneighbors"\r\n' in receive_all(s)


def test_the_description_says_that_a_token_is_wanted(guarded: ServerProcess) -> None:
    given = {"Authorization": f"Bearer {FIRST}"}
    document = json.loads(guarded.request("GET", "/openapi.json", headers=given)[2])
    assert [{"token": []}] == document["security"]
    assert [] == document["paths"]["/ping"]["get"]["security"]


def test_tokens_change_without_a_restart(artifact: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(FIRST)
    with ServerProcess(tmp_path, artifact, workers=2, auth_token_file=str(tokens)) as server:
        assert 200 == ask(server, f"Bearer {FIRST}")
        tokens.write_text(f"{FIRST}\n{SECOND}\n")
        wait_for(lambda: ask(server, f"Bearer {SECOND}") == 200, "the second token")
        fresh = tmp_path / "fresh"
        fresh.write_text(SECOND)
        fresh.rename(tokens)
        wait_for(
            lambda: [ask(server, f"Bearer {FIRST}") for _ in range(8)] == [401] * 8,
            "the first token to be forgotten by all workers",
        )
        assert 200 == ask(server, f"Bearer {SECOND}")
        tokens.write_text("short")
        wait_for(lambda: _log(server, "token-malformed"), "the fault to be logged")
        assert 200 == ask(server, f"Bearer {SECOND}")
        assert "short" not in server.output()
        tokens.unlink()
        wait_for(lambda: _log(server, "token-file"), "the loss to be logged")
        assert 200 == ask(server, f"Bearer {SECOND}")


def _log(server: ServerProcess, code: str) -> bool:
    ask(server, f"Bearer {SECOND}")
    return f"[{code}]" in server.output()


def test_a_hangup_lets_tokens_be_read_again_though_nothing_tells_of_a_change(
    artifact: Path, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(FIRST)
    before = tokens.stat()
    with ServerProcess(tmp_path, artifact, workers=1, auth_token_file=str(tokens)) as server:
        workers = server.workers()
        tokens.write_text(FIRST[::-1])
        os.utime(tokens, ns=(before.st_atime_ns, before.st_mtime_ns))
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: ask(server, f"Bearer {FIRST[::-1]}") == 200, "the new token")
        assert 401 == ask(server, f"Bearer {FIRST}")
        assert workers == server.workers()


@pytest.mark.parametrize("text", ["x" * 15, "x" * 5000, "täglich-ein-anderes", "a=b" * 9, "a b c"])
def test_a_token_that_could_be_guessed_or_misread_is_refused(text: str) -> None:
    with pytest.raises(ParameterRefused) as refused:
        Tokens(Settings(auth_token=text))
    assert "token-malformed" == refused.value.code
    assert text not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"", b"# nothing\n\n", b"\xff" * 20, b"x" * (2 << 20)])
def test_a_file_without_tokens_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokens"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ParameterRefused) as refused:
        Tokens(Settings(auth_token_file=str(path)))
    assert refused.value.code in ("token-file", "token-malformed")


@pytest.mark.parametrize(
    ("host", "is_inside"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False)],
)
def test_what_is_reached_from_this_machine_alone(host: str, is_inside: bool) -> None:
    assert is_inside is is_loopback(host)


def test_models_are_not_managed_by_whoever_can_connect(artifact: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "wines").symlink_to(models)
    body = json.dumps({"model_name": "a", "url": str(models / "nothing")}).encode()
    beyond = partial(ServerProcess, tmp_path, models, workers=1, multi_model="true", host="0.0.0.0")
    given = {"Authorization": f"Bearer {FIRST}"}
    with beyond() as server:
        for method, path in (("POST", "/models"), ("DELETE", "/models/a")):
            status, _, answer = server.request(method, path, body)
            assert (403, "management-closed") == (status, json.loads(answer)["error"]["code"])
        assert 200 == server.request("GET", "/models")[0]
        assert "without tokens" in server.output()
        assert "without TLS" in server.output()
    with beyond(auth_token=FIRST) as server:
        assert 401 == server.request("POST", "/models", body)[0]
        assert 404 == server.request("POST", "/models", body, given)[0]
        assert 404 == server.request("DELETE", "/models/a", None, given)[0]
        assert "without tokens" not in server.output()
