"""An artifact written into a directory that cannot be replaced, its manifest last.

A mount point cannot be renamed, nor can a directory whose parent may not be written to, and a
directory that holds other people's files must not be. There the parts are written beside whatever
is there, under names that are free, and renaming the manifest is the commit: until then the old
manifest names the old files, from then on the new one names the new.

Before a file is created or becomes superfluous, its name goes into a journal,
``.kneighbors-<random>.journal``, which the writer keeps locked. The next writer removes what the
journals of dead writers name, unless the manifest names it too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from kneighbors.artifact.names import MANIFEST, PART_FILE, UNFINISHED
from kneighbors.artifact.occupancy import look
from kneighbors.artifact.partfile import PartFile
from kneighbors.artifact.staging import is_still, try_lock

_JOURNAL = ".journal"
_NEW_MANIFEST = ".manifest"
_ATTEMPTS = 100


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
    OSError
        When the directory cannot be written to.
    """

    def __init__(self, target: Path, overwrite: bool) -> None:
        self._target = target
        self._overwrite = overwrite
        self._directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._files: list[PartFile] = []
        self._committed = False
        try:
            _sweep(self._directory, target)
            self._token, self._journal = _new_journal(self._directory)
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
                self._unlink(file.name)
            self._unlink(self._unfinished(_NEW_MANIFEST))
        self._unlink(self._unfinished(_JOURNAL))
        os.close(self._journal)
        os.close(self._directory)

    def create(self, name: str, block_bytes: int | None = None) -> PartFile:
        """Return a new file of this name, or of one made from it where it is taken."""
        if name in os.listdir(self._directory):  # noqa: PTH208  a descriptor
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
        """Put the manifest in the place of the old one, and remove the old one's files.

        Raises
        ------
        StorageError
            When another writer has put an artifact there meanwhile.
        """
        new = self._unfinished(_NEW_MANIFEST)
        file = PartFile(self._directory, new)
        try:
            file.write(manifest)
            file.close()
        finally:
            with suppress(OSError):
                file.abandon()
        os.fsync(self._directory)
        # One writer at a time from here: what is removed must be what was replaced.
        with suppress(OSError):
            fcntl.flock(self._directory, fcntl.LOCK_EX)
        occupied = look(self._target)
        occupied.refuse(self._target, self._overwrite)
        old = sorted(occupied.files - {MANIFEST})
        self._note(old)
        os.rename(new, MANIFEST, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._committed = True
        os.fsync(self._directory)
        for name in old:
            self._unlink(name)

    def _note(self, names: list[str]) -> None:
        """Write down which files are leftovers if this process dies now."""
        if names:
            data = "".join(f"{name}\n" for name in names).encode()
            while data:
                data = data[os.write(self._journal, data) :]
            os.fsync(self._journal)

    def _unfinished(self, suffix: str) -> str:
        return f"{UNFINISHED}{self._token}{suffix}"

    def _unlink(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self._directory)


def _new_journal(directory: int) -> tuple[str, int]:
    for _ in range(_ATTEMPTS):
        token = secrets.token_hex(8)
        name = f"{UNFINISHED}{token}{_JOURNAL}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        number = os.open(name, flags, 0o666, dir_fd=directory)
        # Between its making and its locking, somebody may have taken it for a leftover.
        if try_lock(number) is not False and is_still(Path(name), number, directory):
            return token, number
        os.close(number)
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _sweep(directory: int, target: Path) -> None:
    """Remove what dead writers left."""
    for name in os.listdir(directory):
        if name.startswith(UNFINISHED) and name.endswith(_JOURNAL):
            with suppress(OSError):
                _remove_if_dead(directory, name, target)


def _remove_if_dead(directory: int, journal: str, target: Path) -> None:
    number = os.open(journal, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        if try_lock(number) is not True or not is_still(Path(journal), number, directory):
            return
        noted = os.pread(number, 1 << 20, 0).decode("ascii", "replace").split("\n")
        kept = look(target).files
        for name in noted:
            if PART_FILE.fullmatch(name) and name not in kept:
                with suppress(OSError):
                    os.unlink(name, dir_fd=directory)
        with suppress(OSError):
            os.unlink(journal.removesuffix(_JOURNAL) + _NEW_MANIFEST, dir_fd=directory)
        os.unlink(journal, dir_fd=directory)
    finally:
        os.close(number)
