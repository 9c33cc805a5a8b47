"""An artifact written into a directory that cannot be replaced, its manifest last.

A mount point cannot be renamed, nor can a directory whose parent may not be written to, and a
directory that holds other people's files must not be. There the parts are written beside whatever
is there, under names that are free, and renaming the manifest is the commit: until then the old
manifest names the old files, from then on the new one names the new.

The writer keeps the directory locked (flock), so that there is one at a time. Before a file is
created or becomes superfluous, its name goes into a journal, ``.kneighbors-<random>.journal``. The
next writer removes what the journals of dead ones name, unless the manifest names it too.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from kneighbors.artifact.names import MANIFEST, PART_FILE, UNFINISHED
from kneighbors.artifact.occupancy import look
from kneighbors.artifact.partfile import PartFile
from kneighbors.artifact.staging import lock_directory, try_lock

_JOURNAL = ".journal"
_NEW_MANIFEST = ".manifest"


class InPlaceStage:
    """New files in the directory itself.

    Parameters
    ----------
    target : Path
        The directory, which exists.
    overwrite : bool
        Whether an artifact that is there may be replaced.

    Raises
    ------
    StorageError
        ``artifact-busy`` when another process is writing there, ``artifact-exists`` or
        ``storage-exists`` when something has appeared there.
    OSError
        When the directory cannot be written to.
    """

    def __init__(self, target: Path, overwrite: bool) -> None:
        self._target = target
        self._overwrite = overwrite
        self._token = secrets.token_hex(8)
        self._files: list[PartFile] = []
        self._superfluous: list[str] = []
        self._committed = False
        self._directory = lock_directory(target, 0)
        try:
            look(target).refuse(target, overwrite)
            self._sweep()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            journal = self._unfinished(_JOURNAL)
            self._journal = os.open(journal, flags, 0o666, dir_fd=self._directory)
        except BaseException:
            os.close(self._directory)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._committed:
            for file in self._files:
                with suppress(OSError):
                    file.abandon()
            self._superfluous = [file.name for file in self._files]
            self._superfluous.append(self._unfinished(_NEW_MANIFEST))
        # What cannot be removed now is left to the next writer, and so is the journal then. After
        # a commit of which the disk did not say that it happened, that is everything.
        in_doubt = self._committed and kind is not None
        if not in_doubt and not [n for n in self._superfluous if not self._unlink(n)]:
            self._unlink(self._unfinished(_JOURNAL))
        os.close(self._journal)
        os.close(self._directory)

    def create(self, name: str, block_bytes: int | None = None) -> PartFile:
        """Return a new file of this name, or of one made from it where it is taken."""
        if name in self._names():
            stem, _, suffix = name.rpartition(".")
            name = f"{stem.partition('.')[0]}.{self._token}.{suffix}"
        self._note([name])
        self._files.append(PartFile(self._directory, name, block_bytes))
        return self._files[-1]

    def remove(self, file: PartFile) -> None:
        """Remove a file."""
        file.abandon()
        os.unlink(file.name, dir_fd=self._directory)

    def commit(self, manifest: bytes) -> None:
        """Put the manifest in the place of the old one; the old one's files are removed at exit."""
        new = self._unfinished(_NEW_MANIFEST)
        file = PartFile(self._directory, new)
        try:
            file.write(manifest)
            file.close()
        finally:
            with suppress(OSError):
                file.abandon()
        os.fsync(self._directory)
        occupied = look(self._target)
        occupied.refuse(self._target, self._overwrite)
        old = sorted(occupied.files - {MANIFEST})
        self._note(old)
        os.rename(new, MANIFEST, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._superfluous = old
        self._committed = True
        os.fsync(self._directory)

    def _note(self, names: list[str]) -> None:
        """Write down which files are leftovers if this process dies now."""
        if names:
            data = "".join(f"{name}\n" for name in names).encode()
            while data:
                data = data[os.write(self._journal, data) :]
            os.fsync(self._journal)

    def _sweep(self) -> None:
        """Remove what dead writers left."""
        if try_lock(self._directory) is None:
            # Without locks nobody can tell a dead writer's journal from a living one's.
            return
        kept = look(self._target).files
        for journal in self._names():
            if journal.startswith(UNFINISHED) and journal.endswith(_JOURNAL):
                noted = self._read(journal).decode("ascii", "replace").split("\n")
                left = {name for name in noted if PART_FILE.fullmatch(name)} - kept
                left.add(journal.removesuffix(_JOURNAL) + _NEW_MANIFEST)
                if not [name for name in left if not self._unlink(name)]:
                    self._unlink(journal)

    def _read(self, name: str) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        number = os.open(name, flags, dir_fd=self._directory)
        try:
            return os.pread(number, 1 << 20, 0)
        finally:
            os.close(number)

    def _names(self) -> list[str]:
        return os.listdir(self._directory)  # noqa: PTH208  a descriptor

    def _unfinished(self, suffix: str) -> str:
        return f"{UNFINISHED}{self._token}{suffix}"

    def _unlink(self, name: str) -> bool:
        try:
            os.unlink(name, dir_fd=self._directory)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True
