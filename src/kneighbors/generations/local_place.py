"""A place in a directory of this machine."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from kneighbors.artifact.directory import Directory, damaged
from kneighbors.artifact.manifest import MAX_MANIFEST_BYTES
from kneighbors.artifact.names import COMPANY, MANIFEST, SHARDS, SIGNATURE, UNFINISHED
from kneighbors.artifact.signature import read_signature
from kneighbors.artifact.staging import (
    CannotRename,
    SiblingStage,
    is_still,
    remove,
    sync_directory,
    try_lock,
)
from kneighbors.errors import KNeighborsError, StorageError
from kneighbors.generations.detection import POINTER
from kneighbors.generations.generation import is_id, number_of
from kneighbors.generations.place import GENERATIONS, Place, in_order
from kneighbors.generations.source import Source, pieces
from kneighbors.generations.top import TOPS, Top
from kneighbors.search.progress import Progress, ignore
from kneighbors.shards.manifest import MAX_BYTES
from kneighbors.shards.verification import verify_saved
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
            return in_order([one for one in names if self._has_top(one)])

    def next_number(self) -> int:
        """Return a number above those of all generations."""
        return 1 + max(map(number_of, self._names()), default=0)

    def add(self, generation: str, source: Source, progress: Progress = ignore) -> None:
        """Copy an artifact, whole or not at all."""
        target = self._folder / generation
        with translated(target):
            try:
                with SiblingStage(target, overwrite=False) as stage:
                    _copy(stage, source, progress)
                    stage.commit(source.top.data, source.top.name)
            except StorageError as error:
                if error.code == "storage-exists" and (target / SHARDS).exists():
                    raise _exists(target) from error
                raise
            except CannotRename as error:
                raise StorageError(
                    "storage-failed",
                    "Expected a directory in which names can be changed, got another.",
                    where=str(target),
                ) from error
            _forget_pages(target)

    def top_of(self, generation: str) -> Top:
        """Return a generation's manifest, or its shards'."""
        try:
            directory = Directory(self._folder / generation)
        except StorageError as error:
            if error.code in ("storage-missing", "storage-not-a-directory"):
                raise self.missing(generation) from error
            raise
        for name in TOPS:
            with suppress(FileNotFoundError):
                file = directory.open(name)
                most = MAX_MANIFEST_BYTES if name == MANIFEST else MAX_BYTES
                return Top(name, file.read(0, min(file.bytes, most + 1)), file.where)
        raise self.missing(generation)

    def glance(self, generation: str) -> None:
        """Raise what is wrong with a generation as far as names and lengths tell."""
        self.top_of(generation)
        for _, opened in Source(self._folder / generation).folders():
            for part in opened.manifest.parts.values():
                opened.open(part)

    def check(self, generation: str, progress: Progress = ignore) -> None:
        """Read every byte of a generation, and raise what is wrong with it."""
        self.top_of(generation)
        for report in verify_saved(self._folder / generation, progress=progress):
            if not report.is_whole:
                where = str(self._folder / generation / report.file)
                raise damaged(where, 0, report.bytes, "; ".join(report.faults))

    def published_s(self, generation: str) -> float:
        """Return when a generation was complete, in seconds since 1970."""
        with translated(self._folder / generation):
            name = MANIFEST if (self._folder / generation / MANIFEST).exists() else SHARDS
            return (self._folder / generation / name).stat().st_mtime

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

    def _has_top(self, generation: str) -> bool:
        return any((self._folder / generation / name).is_file() for name in TOPS)

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


def _copy(stage: SiblingStage, source: Source, progress: Progress) -> None:
    """Copy all files but the manifest at the top, each compared with what was saved."""
    done, total = 0, source.bytes
    for folder, opened in source.folders():
        if folder:
            stage.make_folder(folder)
            _write(stage, f"{folder}/{MANIFEST}", opened.manifest_bytes)
        for part in opened.manifest.parts.values():
            file = opened.open(part)
            copy = stage.create(f"{folder}/{part.file}" if folder else part.file)
            for piece in pieces(file):
                copy.write(piece)
                done += len(piece)
                progress("copying", done, total)
            copy.close()
            if copy.sha256 != part.sha256:
                raise damaged(file.where, 0, part.bytes, "the SHA-256 differs")
        signature = read_signature(opened.directory)
        if signature is not None and not folder:
            # It belongs to the artifact, though no manifest can name it.
            _write(stage, SIGNATURE, signature)


def _write(stage: SiblingStage, name: str, data: bytes) -> None:
    copy = stage.create(name)
    copy.write(data)
    copy.close()


def _forget_pages(path: Path) -> None:
    """Let what is read next come from the disk, not from what was written to it."""
    for file in path.rglob("*"):
        if file.is_dir():
            continue
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
    if not names.isdisjoint(TOPS):
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


def _exists(target: Path) -> StorageError:
    return StorageError(
        "artifact-exists",
        "Expected a new generation, got the name of one that is there.",
        where=str(target),
    )
