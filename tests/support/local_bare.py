"""A plane without a server, for tests of what runs inside one."""

from __future__ import annotations

from pathlib import Path

from kneighbors.local.blobs import Blobs
from kneighbors.local.images import Images
from kneighbors.local.logs import Logs
from kneighbors.local.objects import Objects
from kneighbors.local.plane import Plane
from kneighbors.local.records import Records
from kneighbors.local.running import Running


def bare_plane(root: Path) -> Plane:
    """Return a plane whose address nobody listens at."""
    return Plane(
        root=root,
        url="http://127.0.0.1:9",
        records=Records(root / "state.sqlite"),
        objects=Objects(Blobs(root / "objects")),
        logs=Logs(root / "logs"),
        images=Images(),
        running=Running(),
    )


class KeptLines:
    """A log in memory."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write_line(self, text: str, at_ms: int | None = None) -> None:
        """Keep a line."""
        self.lines.append(text)
