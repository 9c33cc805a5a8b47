"""Generations of a place on S3, copied to this machine: each whole and checked, or not there."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from kneighbors.artifact.directory import Directory, damaged
from kneighbors.artifact.manifest import Manifest, Part
from kneighbors.artifact.names import MANIFEST, SIGNATURE, UNFINISHED
from kneighbors.artifact.opened import Opened
from kneighbors.artifact.staging import SiblingStage, Stage, remove, sweep
from kneighbors.errors import ArtifactError, KNeighborsError, StorageError
from kneighbors.generations.generation import is_id
from kneighbors.generations.pointer import Pointer
from kneighbors.generations.s3_place import S3Place
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import translated
from kneighbors.storage.conditional import LOCK

_READ_AT_ONCE = 1 << 20


class Cache:
    """Copies of generations in a directory; processes may share it.

    Parameters
    ----------
    folder : str or path
        A directory for copies of any place; this one gets a directory of its own in it.
    place : S3Place
    """

    def __init__(self, folder: str | os.PathLike[str], place: S3Place) -> None:
        self._place = place
        name = sha256(str(place.address).encode()).hexdigest()[:16]
        self._folder = Path(os.path.realpath(folder)) / name

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
            with self._locked():
                if self._is_there(target, pointer):
                    return target, False
                remove(target)
                sweep(target)
                with SiblingStage(target, overwrite=False) as stage:
                    stage.commit(self._filled(stage, pointer, progress))
                return target, True

    def discard(self, generation: str) -> None:
        """Remove a copy."""
        with translated(self._folder), self._locked():
            self._remove(generation)

    def keep_only(self, generations: set[str]) -> None:
        """Remove all copies but these; who has one open keeps what is open."""
        with translated(self._folder), self._locked():
            for entry in [*os.scandir(self._folder)]:
                if is_id(entry.name) and entry.name not in generations:
                    self._remove(entry.name)

    def _remove(self, generation: str) -> None:
        aside = self._folder / f"{UNFINISHED}{os.getpid()}-{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):
            (self._folder / generation).rename(aside)
            remove(aside)

    def _is_there(self, target: Path, pointer: Pointer) -> bool:
        """Tell whether a copy is there, as far as its manifest and the lengths of its files tell.

        Its bytes are checked as those of every artifact: when it is opened, and when they are used.
        """
        if not target.is_dir():
            return False
        try:
            opened = Opened(Directory(target))
            for part in opened.manifest.parts.values():
                opened.open(part)
        except KNeighborsError:
            return False
        return sha256(opened.manifest_bytes).hexdigest() == pointer.manifest_sha256

    def _filled(self, stage: Stage, pointer: Pointer, progress: Progress) -> bytes:
        place, generation = self._place, pointer.generation
        data = place.manifest_of(generation)
        where = str(place.address_of(generation) / MANIFEST)
        check_manifest(data, pointer, where)
        manifest = Manifest.from_bytes(data, where)
        self._check_room(manifest.total_bytes)
        done = 0
        for part in manifest.parts.values():
            done = self._fetch_part(stage, generation, part, done, manifest.total_bytes, progress)
        signature = place.signature_of(generation)
        if signature is not None:
            file = stage.create(SIGNATURE)
            file.write(signature)
            file.close()
        return data

    def _fetch_part(
        self, stage: Stage, generation: str, part: Part, done: int, total: int, progress: Progress
    ) -> int:
        address = self._place.address_of(generation) / part.file
        copy = stage.create(part.file)
        try:
            with self._place.store.open_read(address) as file:
                while copy.bytes <= part.bytes and (piece := file.read(_READ_AT_ONCE)):
                    copy.write(piece)
                    progress("downloading", done + copy.bytes, total)
        except StorageError as error:
            if error.code != "storage-missing":
                raise
            raise ArtifactError(
                "artifact-incomplete",
                f"Expected the part {part.name!r}, found nothing.",
                where=address.shown,
            ) from error
        copy.close()
        if copy.sha256 != part.sha256:
            raise damaged(str(address), 0, part.bytes, "the SHA-256 differs")
        return done + part.bytes

    def _check_room(self, wanted: int) -> None:
        """Refuse at once what will not fit, rather than fetch most of it first."""
        free = shutil.disk_usage(self._folder).free
        if free < wanted:
            raise StorageError(
                "storage-full",
                f"Expected {wanted:,} free bytes for a generation, got {free:,}.",
                where=str(self._folder),
                hint="Free some, or give another directory for copies.",
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process work on the copies; the others wait for what it fetches."""
        number = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            yield
        finally:
            os.close(number)


def check_manifest(data: bytes, pointer: Pointer, where: str) -> None:
    """Refuse a manifest that is not the one that a pointer names.

    Raises
    ------
    ArtifactError
        With code ``artifact-damaged``.
    """
    if sha256(data).hexdigest() != pointer.manifest_sha256:
        raise ArtifactError(
            "artifact-damaged",
            "Expected the manifest that the pointer names, got another.",
            where=where,
            hint="Publish again, or go back with `kneighbors rollback`.",
        )


def default_cache() -> Path:
    """Return the directory for copies of a person who has named none.

    It is ``$KNEIGHBORS_CACHE_DIR``, else ``kneighbors`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    named = os.environ.get("KNEIGHBORS_CACHE_DIR", "").strip()
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(base) if base else Path(os.path.expanduser("~/.cache"))) / "kneighbors"  # noqa: PTH111
