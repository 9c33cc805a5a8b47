"""Bodies that are compressed are refused unread, whichever front a client has reached."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest

from kneighbors.server.refusals import HTTPRefused, check_encoding
from kneighbors.server.settings import Settings
from kneighbors.server.wsgi import Application
from support.wire_model import make_model

MODEL = make_model()
BOMB = gzip.compress(b" " * 10_000_000)


class Unread(io.BytesIO):
    """A body that must not be touched."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "gzip, gzip", "x", "*"])
def test_a_compressed_body_is_refused(encoding: str) -> None:
    with pytest.raises(HTTPRefused) as caught:
        check_encoding(encoding)
    assert "content-encoding-unsupported" == caught.value.code


@pytest.mark.parametrize("encoding", [None, "", " ", "identity", "Identity"])
def test_a_body_as_it_is_passes(encoding: str | None) -> None:
    check_encoding(encoding)


def test_a_bomb_is_not_even_read() -> None:
    said: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/invocations",
        "CONTENT_LENGTH": str(len(BOMB)),
        "CONTENT_TYPE": "application/json",
        "HTTP_CONTENT_ENCODING": "gzip",
        "wsgi.input": Unread(BOMB),
    }

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        said.append(status)

    body = b"".join(Application(MODEL, Settings())(environ, start_response))
    assert ["415 Unsupported Media Type"] == said
    assert "content-encoding-unsupported" == json.loads(body)["error"]["code"]
