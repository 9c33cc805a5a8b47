"""Generations of a place on S3, copied to this machine: each whole and checked, or not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from kneighbors.artifact import verify
from kneighbors.artifact.described import ITEM_ROLES
from kneighbors.artifact.directory import Directory
from kneighbors.artifact.manifest import Manifest, Part
from kneighbors.artifact.names import MANIFEST, SHARDS
from kneighbors.artifact.opened import Opened
from kneighbors.artifact.staging import SiblingStage, remove, sweep
from kneighbors.errors import ArtifactError, KNeighborsError
from kneighbors.generations.fetching import Fetching
from kneighbors.generations.origin import ORIGIN, Origin
from kneighbors.generations.pointer import Pointer
from kneighbors.generations.room import (
    is_copy,
    is_copy_of,
    locked,
    make_room,
    mark_used,
    remove_copy,
)
from kneighbors.generations.s3_place import S3Place
from kneighbors.generations.top import Top
from kneighbors.search.progress import Progress, ignore
from kneighbors.shards.manifest import ShardEntry, ShardsManifest
from kneighbors.shards.member import open_member
from kneighbors.storage import Address, translated
from kneighbors.storage.local import writing_whole

#: Ends the name of a copy of ids and attributes alone.
_ITEMS = ".items"

Wanted = Callable[[Part], bool]


class Cache:
    """Copies of generations in a directory; processes may share it.

    Parameters
    ----------
    folder : str or path
        A directory for copies of any place; this one gets a directory of its own in it.
    place : S3Place

    Notes
    -----
    A shard is fetched whole or not at all. One that is there is not fetched again, so a copy that
    was broken off goes on behind it.
    """

    def __init__(self, folder: str | os.PathLike[str], place: S3Place) -> None:
        self._place = place
        name = sha256(str(place.address).encode()).hexdigest()[:16]
        self._root = Path(os.path.realpath(folder))
        self._folder = self._root / name

    def fetch(self, pointer: Pointer, progress: Progress = ignore) -> tuple[Path, bool]:
        """Return the directory of a generation, and whether it was fetched just now.

        Raises
        ------
        ArtifactError
            If what is on S3 is damaged or incomplete, or not what the pointer names.
        StorageError
            If it cannot be fetched: ``storage-full``, ``storage-unreachable`` and so on.
        """
        target = self._folder / pointer.generation
        with translated(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._folder):
                if self._is_there(target, pointer):
                    mark_used(target)
                    return target, False
                top = self._top(pointer)
                if top.shards is None:
                    self._fetch_single(target, top, pointer, progress)
                else:
                    self._fetch_shards(target, top.shards, top.shards.shards, pointer, progress)
                    _write(target / SHARDS, top.data)
                return target, True

    def fetch_items(self, pointer: Pointer, progress: Progress = ignore) -> tuple[Path, bool]:
        """Return a directory with the ids and attributes of a generation in shards.

        It holds no vectors, but a file that says where they are; see `Origin`.

        Raises
        ------
        ArtifactError, StorageError
            As of `fetch`; ``artifact-unknown`` for a generation in one piece.
        """
        target = self._folder / (pointer.generation + _ITEMS)
        origin = Origin(str(self._place.address), pointer.generation, pointer.manifest_sha256)
        with translated(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._folder):
                if Origin.read(target) == origin and self._is_there(target, pointer, _is_item):
                    mark_used(target)
                    return target, False
                top = self._top(pointer)
                if top.shards is None:
                    raise ArtifactError(
                        "artifact-unknown",
                        "Expected an artifact in shards, got one in a piece.",
                        where=top.where,
                        hint="Train with --shards.",
                    )
                self._fetch_shards(
                    target, top.shards, top.shards.shards, pointer, progress, _is_item
                )
                _write(target / SHARDS, top.data)
                _write(target / ORIGIN, origin.to_bytes())
                return target, True

    def fetch_shard(
        self,
        pointer: Pointer,
        manifest: ShardsManifest,
        entry: ShardEntry,
        progress: Progress = ignore,
    ) -> tuple[Path, bool]:
        """Return the directory of one shard, and whether it was fetched just now.

        Parameters
        ----------
        pointer : Pointer
        manifest : ShardsManifest
            Of the generation that it names.
        entry : ShardEntry
        progress : callable, optional

        Raises
        ------
        ArtifactError, StorageError
            As of `fetch`.
        """
        target = self._folder / pointer.generation
        with translated(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._folder):
                path = target / entry.folder
                is_there = _has_shard(target, entry, manifest)
                if not is_there:
                    self._fetch_shards(target, manifest, [entry], pointer, progress)
                mark_used(target)
                return path, not is_there

    def discard(self, generation: str) -> None:
        """Remove a copy; of one in shards, only those that are damaged."""
        with translated(self._folder), locked(self._folder):
            path = self._folder / generation
            remove_copy(self._folder / (generation + _ITEMS))
            if not (path / SHARDS).exists():
                remove_copy(path)
                return
            (path / SHARDS).unlink()
            for shard in [one for one in path.iterdir() if one.is_dir()]:
                if not _is_whole(shard):
                    remove_copy(shard)

    def discard_shard(self, generation: str, entry: ShardEntry) -> None:
        """Remove the copy of one shard."""
        with translated(self._folder), locked(self._folder):
            remove_copy(self._folder / generation / entry.folder)

    def keep_only(self, generations: set[str]) -> None:
        """Remove all copies but these; who has one open keeps what is open."""
        with translated(self._folder), locked(self._folder):
            for entry in [*os.scandir(self._folder)]:
                if is_copy(entry.name) and not any(is_copy_of(entry.name, g) for g in generations):
                    remove_copy(self._folder / entry.name)

    def _top(self, pointer: Pointer) -> Top:
        top = self._place.top_of(pointer.generation)
        top.check_is(pointer)
        return top

    def _is_there(self, target: Path, pointer: Pointer, wanted: Wanted | None = None) -> bool:
        """Tell whether a copy is there, as far as its manifest and the lengths of its files tell.

        Its bytes are checked as those of every artifact: when it is opened, and when they are used.
        """
        if not target.is_dir():
            return False
        try:
            if (target / SHARDS).exists():
                top = Top(SHARDS, (target / SHARDS).read_bytes(), str(target / SHARDS))
                manifest = top.shards
                return (
                    top.sha256 == pointer.manifest_sha256
                    and manifest is not None
                    and all(_has_shard(target, one, manifest, wanted) for one in manifest.shards)
                )
            opened = Opened(Directory(target))
            for part in opened.manifest.parts.values():
                opened.open(part)
        except KNeighborsError:
            return False
        return sha256(opened.manifest_bytes).hexdigest() == pointer.manifest_sha256

    def _fetch_single(self, target: Path, top: Top, pointer: Pointer, progress: Progress) -> None:
        remove(target)
        sweep(target)
        total = top.manifest.total_bytes
        make_room(self._root, self._folder, pointer.generation, total)
        fetching = Fetching(self._place, pointer.generation, total, progress)
        with SiblingStage(target, overwrite=False) as stage:
            fetching.parts(stage, top.manifest.parts.values())
            fetching.signature(stage)
            stage.commit(top.data)

    def _fetch_shards(
        self,
        target: Path,
        manifest: ShardsManifest,
        shards: Sequence[ShardEntry],
        pointer: Pointer,
        progress: Progress,
        wanted: Wanted | None = None,
    ) -> None:
        """Fetch those of the shards that are not there, each whole or not at all."""
        if (target / MANIFEST).exists():
            remove(target)
        target.mkdir(exist_ok=True)
        found: list[tuple[ShardEntry, list[Part], bytes]] = []
        for entry in shards:
            if not _has_shard(target, entry, manifest, wanted):
                member, data = self._place.member_of(pointer.generation, manifest, entry)
                found.append((entry, _chosen(member, wanted), data))
        total = sum(part.bytes for _, parts, _ in found for part in parts)
        make_room(self._root, self._folder, pointer.generation, total)
        fetching = Fetching(self._place, pointer.generation, total, progress)
        for entry, parts, data in found:
            path = target / entry.folder
            remove(path)
            sweep(path)
            with SiblingStage(path, overwrite=False) as stage:
                fetching.parts(stage, parts, entry.folder)
                stage.commit(data)


def _is_item(part: Part) -> bool:
    return part.role in ITEM_ROLES


def _chosen(manifest: Manifest, wanted: Wanted | None) -> list[Part]:
    return [part for part in manifest.parts.values() if wanted is None or wanted(part)]


def _has_shard(
    target: Path, entry: ShardEntry, manifest: ShardsManifest, wanted: Wanted | None = None
) -> bool:
    try:
        opened = open_member(target / entry.folder, entry, manifest)
        for part in _chosen(opened.manifest, wanted):
            opened.open(part)
    except KNeighborsError:
        return False
    return True


def _is_whole(shard: Path) -> bool:
    with suppress(KNeighborsError):
        return all(report.is_whole for report in verify(shard))
    return False


def _write(path: Path, data: bytes) -> None:
    with writing_whole(Address.parse(path)) as file:
        file.write(data)


def default_cache() -> Path:
    """Return the directory for copies of a person who has named none.

    It is ``$KNEIGHBORS_CACHE_DIR``, else ``kneighbors`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    named = os.environ.get("KNEIGHBORS_CACHE_DIR", "").strip()
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(base) if base else Path(os.path.expanduser("~/.cache"))) / "kneighbors"  # noqa: PTH111
