"""Where the hosts of a cluster get their shards: a directory that all have, or a place on S3."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kneighbors.generations.cache import Cache, default_cache
from kneighbors.generations.finding import open_place
from kneighbors.generations.origin import Origin
from kneighbors.generations.room import LIMIT_VARIABLE
from kneighbors.generations.s3_place import S3Place
from kneighbors.shards.manifest import ShardEntry, ShardsManifest

#: Bytes a second at least that shards come from S3 with, or else their opening has failed.
_SLOWEST = 5e6


class Home(Protocol):
    """Gives a machine the shards that it is to hold; picklable."""

    def fetch(self, manifest: ShardsManifest, entry: ShardEntry) -> tuple[Path, bool]:
        """Return the directory of a shard on this machine, and whether it came just now."""

    def discard(self, entry: ShardEntry) -> None:
        """Let the next `fetch` bring a shard anew, if it is one that was brought."""

    @property
    def variables(self) -> dict[str, str]:
        """Variables of this process that hosts need."""

    def seconds(self, manifest: ShardsManifest) -> float:
        """Return how long bringing all shards may take."""


@dataclass(frozen=True)
class SharedFolder:
    """A directory that is at the same path on every machine."""

    path: Path

    def fetch(self, manifest: ShardsManifest, entry: ShardEntry) -> tuple[Path, bool]:
        """Return the directory of a shard; it has not come, it is there."""
        return self.path / entry.folder, True

    def discard(self, entry: ShardEntry) -> None:
        """Do nothing: what is there is all there is."""

    @property
    def variables(self) -> dict[str, str]:
        """None."""
        return {}

    def seconds(self, manifest: ShardsManifest) -> float:
        """Return none."""
        return 0.0


@dataclass(frozen=True)
class OnS3:
    """A generation of a place on S3; each machine copies the shards that it is to hold.

    The copies lie where the machine's variables say (`kneighbors.generations.cache.default_cache`).
    """

    origin: Origin

    def fetch(self, manifest: ShardsManifest, entry: ShardEntry) -> tuple[Path, bool]:
        """Return the directory of a shard's copy; errors as of `Cache.fetch_shard`."""
        return self._cache().fetch_shard(self.origin.pointer, manifest, entry)

    def discard(self, entry: ShardEntry) -> None:
        """Remove the copy of a shard."""
        self._cache().discard_shard(self.origin.generation, entry)

    @property
    def variables(self) -> dict[str, str]:
        """Those of AWS, and those that say where copies lie and what they may take."""
        own = ("KNEIGHBORS_CACHE_DIR", LIMIT_VARIABLE)
        return {
            name: value
            for name, value in os.environ.items()
            if name.startswith("AWS_") or name in own
        }

    def seconds(self, manifest: ShardsManifest) -> float:
        """Return how long bringing all shards may take, if one machine brings them all."""
        return manifest.total_bytes / _SLOWEST

    def _cache(self) -> Cache:
        place = open_place(self.origin.place)
        if not isinstance(place, S3Place):
            raise TypeError(self.origin.place)
        return Cache(default_cache(), place)


def home_of(path: Path) -> Home:
    """Return where the shards are of an artifact, or of a copy of its ids and attributes."""
    origin = Origin.read(path)
    return SharedFolder(path) if origin is None else OnS3(origin)
