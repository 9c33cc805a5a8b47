"""A handler that returns a constant, under the package's own server: what HTTP alone reaches."""

from __future__ import annotations

import io
from typing import Any

import numpy as np


def _answer() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((2, 10)))
    return file.getvalue()


_BODY = _answer()
_HEADERS = [
    (b"content-length", b"%d" % len(_BODY)),
    (b"content-type", b"application/x-npy"),
]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, then send as many bytes as ten neighbours take."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


def main(port: int, workers: int) -> None:
    """Serve it."""
    from kneighbors.server.run import serve_app
    from kneighbors.server.settings import Settings

    raise SystemExit(serve_app(lambda _settings, _slot: asgi, Settings(port=port, workers=workers)))
