"""A second opinion on raw bytes: what h11, which is lenient, takes for requests in them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import h11


@dataclass
class Asked:
    """One request as h11 reads it."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    is_complete: bool = False

    def header(self, name: bytes) -> str | None:
        """Return the values of a header with commas between, None if there is none."""
        found = [value.decode("latin-1") for its, value in self.headers if its == name]
        return ", ".join(found) if found else None

    @property
    def path(self) -> str:
        """The path as it is written."""
        path = self.target.partition("?")[0]
        for scheme in ("http://", "https://"):
            if path.startswith(scheme):
                return "/" + path.removeprefix(scheme).partition("/")[2]
        return path


def read_requests(data: bytes) -> list[Asked]:
    """Return the requests in some bytes; the last one may not be complete."""
    found: list[Asked] = []
    rest: bytes | None = data
    while rest:
        rest = _read_one(rest, found)
    return found


def _read_one(data: bytes, found: list[Asked]) -> bytes | None:
    """Read one request; return what follows it, None where no other can."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    # RFC 9112, 2.2: an empty line before a request means nothing; h11 knows none.
    connection.receive_data(data.removeprefix(b"\r\n"))
    connection.receive_data(b"")
    with suppress(h11.ProtocolError):
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                method, target = event.method.decode("latin-1"), event.target.decode("latin-1")
                found.append(Asked(method, target, list(event.headers)))
            elif isinstance(event, h11.Data):
                found[-1].body += event.data
            elif isinstance(event, h11.EndOfMessage):
                found[-1].is_complete = True
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return None
                return bytes(connection.trailing_data[0])
            else:
                return None
    return None
