"""Raw requests, one file each under ``tests/server/raw``, in folders named by their answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "server" / "raw"

#: Codes of what is refused before the application sees it; the connection is closed.
CLOSING = frozenset(
    {
        "body-too-large",
        "chunk-malformed",
        "expectation-unknown",
        "headers-too-large",
        "host-invalid",
        "request-framing",
        "request-malformed",
        "url-too-long",
    }
)


@dataclass(frozen=True)
class RawRequest:
    """Bytes to send, and the answer that they get.

    Parameters
    ----------
    name : str
        What it is.
    status : int
    code : str or None
        None where it is answered by 200.
    data : bytes
    """

    name: str
    status: int
    code: str | None
    data: bytes

    @property
    def is_closing(self) -> bool:
        """Whether the connection is closed with the answer."""
        return self.code in CLOSING or b" HTTP/1.0\r\n" in self.data


def raw_requests() -> list[RawRequest]:
    """Return all of them, in the order of their paths."""
    found = []
    for path in sorted(FOLDER.glob("*/*.http")):
        status, _, code = path.parent.name.partition("-")
        found.append(RawRequest(path.stem, int(status), code or None, path.read_bytes()))
    return found
