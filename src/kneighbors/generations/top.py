"""What lies at the top of a generation: the manifest of an artifact, or that of its shards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from kneighbors.artifact.manifest import Manifest
from kneighbors.artifact.names import MANIFEST, SHARDS
from kneighbors.errors import ArtifactError
from kneighbors.generations.pointer import Pointer
from kneighbors.shards.manifest import ShardEntry, ShardsManifest
from kneighbors.shards.member import check_member

#: A generation is there when one of these is, and not before.
TOPS = (MANIFEST, SHARDS)


@dataclass(frozen=True)
class Top:
    """The file that makes a generation one, and names or leads to all others of it.

    Parameters
    ----------
    name : str
        ``manifest.json`` or ``shards.json``.
    data : bytes
    where : str
        Where it was read.
    """

    name: str
    data: bytes
    where: str

    @cached_property
    def manifest(self) -> Manifest:
        """What it says; a `ShardsManifest` if it is that of shards.

        Raises
        ------
        ArtifactError
            If it breaks a rule.
        """
        kind = ShardsManifest if self.name == SHARDS else Manifest
        return kind.from_bytes(self.data, self.where)

    @property
    def shards(self) -> ShardsManifest | None:
        """What it says if it is that of shards; errors as of `manifest`."""
        manifest = self.manifest
        return manifest if isinstance(manifest, ShardsManifest) else None

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of its text."""
        return sha256(self.data).hexdigest()

    def check_is(self, pointer: Pointer) -> None:
        """Refuse a manifest that is not the one that a pointer names.

        Raises
        ------
        ArtifactError
            With code ``artifact-damaged``.
        """
        if self.sha256 != pointer.manifest_sha256:
            raise ArtifactError(
                "artifact-damaged",
                "Expected the manifest that the pointer names, got another.",
                where=self.where,
                hint="Publish again, or go back with `kneighbors rollback`.",
            )


def member_of(data: bytes, entry: ShardEntry, manifest: ShardsManifest, where: str) -> Manifest:
    """Return what the manifest of a shard says, if it is the one that is meant.

    Raises
    ------
    ArtifactError
        ``shards-generation`` or ``shards-differ``; or what a manifest is refused for.
    """
    found = Manifest.from_bytes(data, where)
    check_member(found, sha256(data).hexdigest(), entry, manifest, where)
    return found
