"""What a server does wrong, each fault over a real connection of the loopback."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from kneighbors.errors import StorageError
from kneighbors.storage import Address
from kneighbors.storage.s3 import RANGE_BYTES, S3Store
from support.storage_servers import Answer, Asked, ScriptedServer, part_of, refusal, use_endpoint

X = Address.parse("s3://wines/x")
DATA = os.urandom(2 * RANGE_BYTES + 1)


@pytest.mark.parametrize(
    ("status", "name", "code", "words"),
    [
        (403, "AccessDenied", "storage-forbidden", "AWS_ACCESS_KEY_ID (set)"),
        (403, "InvalidAccessKeyId", "storage-forbidden", "does not accept the credentials"),
        (403, "SignatureDoesNotMatch", "storage-forbidden", "does not accept the credentials"),
        (400, "ExpiredToken", "storage-forbidden", "expired"),
        (403, "RequestTimeTooSkewed", "storage-forbidden", "clocks"),
        (401, "Unauthorized", "storage-forbidden", "AWS_SESSION_TOKEN (not set)"),
        (404, "NoSuchBucket", "storage-missing", "no such bucket"),
        (404, "NoSuchKey", "storage-missing", "found nothing"),
        (301, "PermanentRedirect", "storage-region", "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", "storage-region", "than us-east-1"),
        (500, "InternalError", "storage-unreachable", "answering 500 through 2 attempts"),
        (503, "SlowDown", "storage-unreachable", "answering 503 through 2 attempts"),
        (429, "TooManyRequests", "storage-unreachable", "answering 429"),
        (507, "QuotaExceeded", "storage-full", "no room"),
        (400, "EntityTooLarge", "storage-full", "larger"),
        (412, "PreconditionFailed", "storage-changed", "changed"),
        (403, "InvalidObjectState", "storage-forbidden", "archived"),
        (418, "Teapot", "storage-failed", "418 Teapot"),
    ],
)
def test_every_refusal_has_its_code_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, status: int, name: str, code: str, words: str
) -> None:
    with ScriptedServer(lambda asked: refusal(status, name)) as server:
        use_endpoint(monkeypatch, server.url)
        for call in (
            lambda: S3Store("wines").put(X, b"data"),
            lambda: list(S3Store("wines").list(X)),
            lambda: S3Store("wines").read(X),
        ):
            with pytest.raises(StorageError) as caught:
                call()
            assert caught.value.code == code
            assert "s3://wines/" in str(caught.value)
            assert server.url in str(caught.value)
            assert "never-shown" not in str(caught.value)
            assert "testing" not in str(caught.value)
            assert caught.value.__cause__ is None
            assert words in str(caught.value) or name == "NoSuchKey"


def test_the_secret_never_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(lambda asked: part_of(b"data", asked)) as server:
        use_endpoint(monkeypatch, server.url)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token")
        assert S3Store("wines").read(X) == b"data"
    assert [asked.headers["x-amz-security-token"] for asked in server.asked] == ["the-token"] * 2
    assert "Credential=testing/" in server.asked[0].headers["authorization"]
    assert not any("never-shown" in json.dumps(asked.headers) for asked in server.asked)
    assert [asked.path for asked in server.asked] == ["/wines/x", "/wines/x"]


def test_an_answer_that_breaks_off_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken: list[int] = []

    def answer(asked: Asked) -> Answer:
        whole = part_of(DATA, asked)
        start = int(asked.headers.get("range", "bytes=1-").partition("=")[2].partition("-")[0])
        if start % RANGE_BYTES == 0 and start not in broken:
            broken.append(start)
            whole.breaks_after = len(whole.body) // 2
        return whole

    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url, attempts=3)
        assert S3Store("wines").download(X, tmp_path / "x") == len(DATA)
    assert (tmp_path / "x").read_bytes() == DATA
    assert sorted(broken) == [0, RANGE_BYTES, 2 * RANGE_BYTES]


@pytest.mark.parametrize("length", ["full", "short"])
def test_an_answer_that_is_always_short_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, length: str
) -> None:
    def answer(asked: Asked) -> Answer:
        whole = part_of(DATA, asked)
        if asked.method == "GET" and length == "full":
            whole.breaks_after = len(whole.body) // 2
        elif asked.method == "GET":
            whole.body = whole.body[: len(whole.body) // 2]
            whole.headers["Content-Length"] = str(len(whole.body))
        return whole

    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url)
        with pytest.raises(StorageError) as caught:
            S3Store("wines").download(X, tmp_path / "x")
    assert caught.value.code == "storage-truncated"
    assert f"Expected {RANGE_BYTES} bytes from byte 0 on" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_changes_while_it_is_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answer(asked: Asked) -> Answer:
        is_first = asked.method == "HEAD" or asked.headers["range"].startswith("bytes=0-")
        return part_of(DATA, asked, '"v1"' if is_first else '"v2"')

    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url)
        with pytest.raises(StorageError) as caught:
            S3Store("wines").download(X, tmp_path / "x")
    assert caught.value.code == "storage-changed"
    assert list(tmp_path.iterdir()) == []


def test_credentials_that_expire_on_the_way_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answer(asked: Asked) -> Answer:
        is_first = asked.method == "HEAD" or asked.headers["range"].startswith("bytes=0-")
        return part_of(DATA, asked) if is_first else refusal(400, "ExpiredToken")

    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url)
        with pytest.raises(StorageError, match="The credentials have expired") as caught:
            S3Store("wines").download(X, tmp_path / "x")
    assert caught.value.code == "storage-forbidden"
    assert list(tmp_path.iterdir()) == []


def test_a_server_without_ranges_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Answer:
        headers = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
        if asked.method == "HEAD":
            return Answer(200, b"", headers | {"Content-Length": "4"})
        return Answer(200, b"data", headers)

    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url)
        with pytest.raises(StorageError, match="ignores the range"):
            S3Store("wines").read(X)


def test_a_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([refusal(503, "SlowDown"), Answer(200, b"", {"ETag": '"x"'})])
    with ScriptedServer(lambda asked: next(answers)) as server:
        use_endpoint(monkeypatch, server.url)
        S3Store("wines").put(X, b"data")
    assert [asked.body for asked in server.asked] == [b"data", b"data"]


def test_an_upload_that_fails_is_withdrawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.method == "POST" and asked.path.endswith("?uploads="):
            body = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId>"
            return Answer(200, body + b"</InitiateMultipartUploadResult>")
        if asked.method == "DELETE":
            return Answer(204)
        if "partNumber=2" in asked.path:
            return refusal(507, "QuotaExceeded")
        return Answer(200, b"", {"ETag": '"part"'})

    (tmp_path / "x").write_bytes(DATA)
    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url)
        with pytest.raises(StorageError) as caught:
            S3Store("wines").upload(tmp_path / "x", X)
    assert caught.value.code == "storage-full"
    assert [asked.path for asked in server.asked if asked.method == "DELETE"] == [
        "/wines/x?uploadId=u1"
    ]
    assert not any(asked.path == "/wines/x?uploadId=u1" for asked in server.asked[:-1])


@pytest.mark.parametrize("greeting", [None, b"", b"\x16\x03\x01 this is not HTTP\r\n\r\n"])
def test_a_server_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, greeting: bytes | None
) -> None:
    with raw_server(greeting) as url:
        use_endpoint(monkeypatch, url)
        with pytest.raises(StorageError) as caught:
            S3Store("wines").read(X)
    assert caught.value.code == "storage-unreachable"
    assert url in str(caught.value)
    assert "s3://wines/x" in str(caught.value)


def test_ten_thousand_keys_are_listed_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = sorted(f"many/{n % 100}/{'é' if n % 3 else 'z'}-{n}" for n in range(10_000))

    def answer(asked: Asked) -> Answer:
        query = parse_qs(urlsplit(asked.path).query)
        assert query["prefix"] == ["many/"]
        start = int(query.get("continuation-token", ["0"])[0])
        page = keys[start : start + 1_000]
        is_last = start + 1_000 == len(keys)
        found = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>x</ETag><Size>{n}</Size></Contents>"
            for n, key in enumerate(page, start)
        )
        more = "" if is_last else f"<NextContinuationToken>{start + 1_000}</NextContinuationToken>"
        return Answer(200, f"<ListBucketResult>{found}{more}</ListBucketResult>".encode())

    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url)
        listing = S3Store("wines").list(Address.parse("s3://wines/many"))
        first = next(listing)
        assert len(server.asked) <= 3  # the rest is asked for as it is wanted
        entries = [first, *listing]
    assert len(server.asked) == 10
    assert [entry.address.key for entry in entries] == keys
    assert [entry.size_bytes for entry in entries] == list(range(10_000))


@contextmanager
def raw_server(greeting: bytes | None) -> Iterator[str]:
    """Say `greeting` to whoever connects, and hang up; None: let nobody connect."""
    server = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    if greeting is None:
        server.close()
        yield url
        return

    def hang_up() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(greeting)

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.close()
