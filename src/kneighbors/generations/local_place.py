"""A place in a directory of this machine."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from kneighbors.artifact import verify
from kneighbors.artifact.directory import Directory, damaged
from kneighbors.artifact.manifest import MAX_MANIFEST_BYTES
from kneighbors.artifact.names import COMPANY, MANIFEST, SIGNATURE, UNFINISHED
from kneighbors.artifact.opened import Opened
from kneighbors.artifact.signature import read_signature
from kneighbors.artifact.staging import (
    CannotRename,
    SiblingStage,
    Stage,
    is_still,
    remove,
    sync_directory,
    try_lock,
)
from kneighbors.errors import KNeighborsError, StorageError
from kneighbors.generations.detection import POINTER
from kneighbors.generations.generation import is_id, number_of
from kneighbors.generations.place import GENERATIONS, Place, in_order
from kneighbors.generations.source import pieces
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import translated


class LocalPlace(Place):
    """A directory with generations and a pointer.

    A generation grows beside its place under a name that begins with ``.kneighbors-``, locked by
    its writer, and is renamed when all of it is on the disk. What a dead writer left, the next
    publisher removes.
    """

    @property
    def _folder(self) -> Path:
        return self.address.path / GENERATIONS

    def prepare(self, source: Path) -> None:
        """Make the place if there is none, and refuse what is none; sweep up after the dead."""
        path = self.address.path
        with translated(path):
            _refuse_if_inside(path, source)
            if path.exists():
                _refuse_other(path)
            self._folder.mkdir(parents=True, exist_ok=True)
            sync_directory(path)
            self._sweep()

    def ids(self) -> list[str]:
        """Return the generations that are complete, the oldest first."""
        names = self._names()
        with translated(self._folder):
            return in_order([one for one in names if (self._folder / one / MANIFEST).is_file()])

    def next_number(self) -> int:
        """Return a number above those of all generations."""
        return 1 + max(map(number_of, self._names()), default=0)

    def add(self, generation: str, source: Opened, progress: Progress = ignore) -> None:
        """Copy an artifact, whole or not at all."""
        target = self._folder / generation
        with translated(target):
            try:
                with SiblingStage(target, overwrite=False) as stage:
                    stage.commit(_copied(stage, source, progress))
            except CannotRename as error:
                raise StorageError(
                    "storage-failed",
                    "Expected a directory in which names can be changed, got another.",
                    where=str(target),
                ) from error
            _forget_pages(target)

    def manifest_of(self, generation: str) -> bytes:
        """Return a generation's manifest."""
        try:
            file = Directory(self._folder / generation).open(MANIFEST)
        except FileNotFoundError:
            raise self.missing(generation) from None
        except StorageError as error:
            if error.code in ("storage-missing", "storage-not-a-directory"):
                raise self.missing(generation) from error
            raise
        return file.read(0, min(file.bytes, MAX_MANIFEST_BYTES + 1))

    def glance(self, generation: str) -> None:
        """Raise what is wrong with a generation as far as names and lengths tell."""
        self.manifest_of(generation)
        opened = Opened(Directory(self._folder / generation))
        for part in opened.manifest.parts.values():
            opened.open(part)

    def check(self, generation: str, progress: Progress = ignore) -> None:
        """Read every byte of a generation, and raise what is wrong with it."""
        self.manifest_of(generation)
        for report in verify(self._folder / generation, progress=progress):
            if not report.is_whole:
                where = str(self._folder / generation / report.file)
                raise damaged(where, 0, report.bytes, "; ".join(report.faults))

    def published_s(self, generation: str) -> float:
        """Return when a generation was complete, in seconds since 1970."""
        with translated(self._folder / generation):
            return (self._folder / generation / MANIFEST).stat().st_mtime

    def remove(self, generation: str) -> None:
        """Remove a generation, unless the pointer turns to it at that moment."""
        path = self._folder / generation
        aside = self._folder / f"{UNFINISHED}{os.getpid()}-{secrets.token_hex(8)}"
        with translated(path), suppress(FileNotFoundError):
            path.rename(aside)
            # Whoever turns the pointer looks afterwards, as we do: one of both notices the other.
            if self._is_current(generation):
                aside.rename(path)
            else:
                remove(aside)

    def path_of(self, generation: str) -> Path | None:
        """Return the directory that holds a generation."""
        return self._folder / generation

    def _is_current(self, generation: str) -> bool:
        try:
            return self.pointer().generation == generation
        except KNeighborsError:
            return True  # if in doubt, nothing is removed

    def _names(self) -> list[str]:
        with translated(self._folder):
            try:
                entries = [*os.scandir(self._folder)]
            except FileNotFoundError:
                return []
            return [one.name for one in entries if is_id(one.name) and one.is_dir()]

    def _sweep(self) -> None:
        """Remove the unfinished work of writers that have ended; their locks have ended too."""
        for entry in os.scandir(self._folder):
            if entry.name.startswith(UNFINISHED):
                with suppress(OSError):
                    _remove_if_dead(self._folder / entry.name)


def _copied(stage: Stage, source: Opened, progress: Progress) -> bytes:
    """Copy all files but the manifest, each compared with what was saved; return the manifest."""
    done, total = 0, source.manifest.total_bytes
    for part in source.manifest.parts.values():
        file = source.open(part)
        copy = stage.create(part.file)
        for piece in pieces(file):
            copy.write(piece)
            done += len(piece)
            progress("copying", done, total)
        copy.close()
        if copy.sha256 != part.sha256:
            raise damaged(file.where, 0, part.bytes, "the SHA-256 differs")
    signature = read_signature(source.directory)
    if signature is not None:
        # It belongs to the artifact, though no manifest can name it.
        copy = stage.create(SIGNATURE)
        copy.write(signature)
        copy.close()
    return source.manifest_bytes


def _forget_pages(path: Path) -> None:
    """Let what is read next come from the disk, not from what was written to it."""
    for file in path.iterdir():
        number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(number)


def _remove_if_dead(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if try_lock(number) is True and is_still(path, number):
            remove(path)
    finally:
        os.close(number)


def _refuse_if_inside(path: Path, source: Path) -> None:
    if path == source or source in path.parents:
        raise StorageError(
            "place-inside",
            "Expected a place outside of the artifact, got one inside of it.",
            where=str(path),
            hint="Choose another directory for the place.",
        )


def _refuse_other(path: Path) -> None:
    """Refuse a directory that holds something else, so that nothing is published by mistake."""
    names = {one.name for one in path.iterdir()}
    if POINTER in names or GENERATIONS in names:
        return
    if MANIFEST in names:
        raise StorageError(
            "place-is-artifact",
            "Expected a place, got an artifact.",
            where=str(path),
            hint="Choose a new directory for the place.",
        )
    if any(not name.startswith(UNFINISHED) for name in names - COMPANY):
        raise StorageError(
            "storage-exists",
            "Expected a place, a new path or an empty directory, got something else.",
            where=str(path),
            hint="Choose another.",
        )
