"""Where the shards are of which a copy has the ids and attributes alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from kneighbors.artifact import canonical
from kneighbors.errors import ArtifactError
from kneighbors.generations.pointer import Pointer

#: Beside ``shards.json`` of such a copy.
ORIGIN = "shards-origin.json"


@dataclass(frozen=True)
class Origin:
    """A generation of a place on S3, whose shards whoever needs one fetches.

    Parameters
    ----------
    place : str
        ``s3://bucket/prefix/``.
    generation : str
    manifest_sha256 : str
        Of its ``shards.json``.
    """

    place: str
    generation: str
    manifest_sha256: str

    @property
    def pointer(self) -> Pointer:
        """A pointer to the generation."""
        return Pointer(self.generation, self.manifest_sha256, "")

    def to_bytes(self) -> bytes:
        """Return what the file holds."""
        return canonical.to_bytes(asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return what the file in a directory says; None if there is none that is whole."""
        try:
            data = (folder / ORIGIN).read_bytes()
            fields = canonical.from_bytes(data, str(folder / ORIGIN))
        except (FileNotFoundError, NotADirectoryError, ArtifactError):
            return None
        if canonical.has_right_digest(data) is not True:
            return None
        return cls(fields["place"], fields["generation"], fields["manifest_sha256"])
