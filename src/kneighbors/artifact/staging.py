"""Where a new artifact grows until it is complete: beside its path, then moved there at once.

A crash at any instant leaves at the path what was there before, or the new artifact, never a mix.
Unfinished directories are called ``.kneighbors-<path>-<process>-<random>``, where ``<path>`` is a
hash of the name that they were to get. Their writer holds a lock on them (flock), which the system
drops when the process ends, however it ends: so the next one to save to that path can tell a dead
writer's leftovers from a living one's work, and removes only the former.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from kneighbors.artifact.exchange import exchange
from kneighbors.artifact.names import MANIFEST, UNFINISHED
from kneighbors.artifact.occupancy import Kind, look
from kneighbors.artifact.partfile import PartFile
from kneighbors.errors import StorageError

#: Ends the name of an old artifact that was renamed to make room.
ASIDE = "-old"

#: How often a name is tried for that another process snatches away.
_ATTEMPTS = 100

#: Who replaces an artifact that was replaced a moment ago waits until its predecessor has removed
#: the one before.
_PATIENCE_S = 10.0
_BETWEEN_TRIES_S = 0.005


class Stage(Protocol):
    """A place where the files of an artifact are written before they become one."""

    def create(self, name: str, block_bytes: int | None = None) -> PartFile:
        """Return a new file; its name may differ from the one that was asked for."""

    def remove(self, file: PartFile) -> None:
        """Remove a file that turned out not to belong."""

    def commit(self, manifest: bytes) -> None:
        """Make the files, with this manifest, the artifact at the path."""


class CannotRename(Exception):
    """The directory at the path can be written into but not replaced, being a mount point."""


class SiblingStage:
    """A directory beside the path, renamed to it when it is complete.

    Parameters
    ----------
    target : Path
        Where the artifact shall be; absolute, without links.
    overwrite : bool
        Whether an artifact that is there may be replaced.

    Raises
    ------
    OSError
        When the parent cannot be written to.
    """

    def __init__(self, target: Path, overwrite: bool) -> None:
        self._target = target
        self._overwrite = overwrite
        self._files: list[PartFile] = []
        self._folders: list[str] = []
        self._old = -1
        self._path, self._number = make_locked(target, os.mkdir)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files:
            with suppress(OSError):
                file.abandon()
        # After the commit it is the old artifact, if anything, that has this name.
        remove(self._path)
        os.close(self._number)
        if self._old >= 0:
            os.close(self._old)

    def create(self, name: str, block_bytes: int | None = None) -> PartFile:
        """Return a new file of this name."""
        self._files.append(PartFile(self._number, name, block_bytes))
        return self._files[-1]

    def make_folder(self, name: str) -> None:
        """Make a directory, in which files are created by their names after a slash."""
        os.mkdir(name, dir_fd=self._number)
        self._folders.append(name)

    def remove(self, file: PartFile) -> None:
        """Remove a file."""
        file.abandon()
        os.unlink(file.name, dir_fd=self._number)

    def commit(self, manifest: bytes, name: str = MANIFEST) -> None:
        """Rename the directory to the path, once the manifest is in it under its name.

        Raises
        ------
        StorageError
            When something has appeared there.
        CannotRename
            When what is there cannot be renamed; nothing has happened.
        """
        file = self.create(name)
        file.write(manifest)
        file.close()
        for folder in self._folders:
            sync_directory(self._path / folder)
        with suppress(FileNotFoundError):
            # Who could read the old one can read the new one.
            os.fchmod(self._number, self._target.stat().st_mode & 0o7777)
        os.fsync(self._number)
        occupied = look(self._target)
        occupied.refuse(self._target, self._overwrite)
        try:
            if occupied.kind is Kind.ARTIFACT:
                self._replace()
            else:
                self._path.rename(self._target)
        except OSError as error:
            if error.errno in {errno.EBUSY, errno.EXDEV}:
                raise CannotRename from error
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                # Another writer was faster.
                look(self._target).refuse(self._target, overwrite=False)
            raise
        sync_directory(self._target.parent)

    def _replace(self) -> None:
        # Locked, so that nobody takes the old one for a leftover as soon as it has our name.
        self._old = lock_directory(self._target, _PATIENCE_S)
        if not exchange(str(self._path), str(self._target)):
            self._replace_in_two_steps()
            return
        old = look(self._path)
        if old.kind is not Kind.ARTIFACT or old.company:
            # Somebody put other files there in the last moment, and gets them back.
            exchange(str(self._path), str(self._target))
            old.refuse(self._target, overwrite=True)
            raise CannotRename

    def _replace_in_two_steps(self) -> None:
        """Replace the artifact where names cannot be exchanged: for an instant there is none."""
        aside = self._path.with_name(self._path.name + ASIDE)
        self._target.rename(aside)
        try:
            self._path.rename(self._target)
        except BaseException:
            aside.rename(self._target)
            raise
        remove(aside)


def prefix_of(target: Path) -> str:
    """Return what the names of all unfinished work for a path begin with."""
    # A hash, for the name itself may already be as long as a name can be.
    return f"{UNFINISHED}{sha256(os.fsencode(target.name)).hexdigest()[:16]}-"


def make_locked(target: Path, make: Callable[[Path], object]) -> tuple[Path, int]:
    """Make unfinished work beside a path, and lock it.

    Parameters
    ----------
    target : Path
        What it shall become.
    make : callable
        ``os.mkdir``, or a function that creates a file of the given name.

    Returns
    -------
    path : Path
    number : int
        Descriptor that holds the lock; the lock ends when it is closed.
    """
    for _ in range(_ATTEMPTS):
        name = f"{prefix_of(target)}{os.getpid()}-{secrets.token_hex(8)}"
        path = target.parent / name
        make(path)
        try:
            number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError:
            remove(path)
            raise
        # Between its making and its locking, somebody may have taken it for a leftover.
        if try_lock(number) is not False and is_still(path, number):
            return path, number
        os.close(number)
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(target))


def sweep(target: Path) -> None:
    """Remove what dead writers left beside a path.

    An old artifact that was renamed to make room, and whose successor never came, gets its name
    back.
    """
    prefix = prefix_of(target)
    try:
        paths = [path for path in target.parent.iterdir() if path.name.startswith(prefix)]
    except PermissionError:
        return
    # Those aside first: their successors must still be there to be judged.
    for path in sorted(paths, key=lambda path: not path.name.endswith(ASIDE)):
        with suppress(OSError):
            _remove_if_dead(path, target)


def _remove_if_dead(path: Path, target: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if try_lock(number) is not True or not is_still(path, number):
            return
        if path.name.endswith(ASIDE) and look(target).kind is Kind.NOTHING:
            path.rename(target)
        else:
            remove(path)
    finally:
        os.close(number)


def lock_directory(path: Path, patience_s: float) -> int:
    """Return a descriptor of the directory at a path that holds its lock.

    Parameters
    ----------
    path : Path
        The directory.
    patience_s : float
        How long to wait for another writer, in seconds.

    Raises
    ------
    StorageError
        ``artifact-busy`` when another one has the lock all that time.
    OSError
        When there is no directory.
    """
    give_up = time.monotonic() + patience_s
    while True:
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # A directory that was replaced while it was being locked is not the one that counts.
        if try_lock(number) is not False and is_still(path, number):
            return number
        os.close(number)
        if time.monotonic() > give_up:
            raise StorageError(
                "artifact-busy",
                "Expected to be alone, got another writer that saves to this directory.",
                where=str(path),
                hint="Wait until it has finished.",
            )
        time.sleep(_BETWEEN_TRIES_S)


def remove(path: Path) -> None:
    """Remove unfinished work, a directory or a file, as far as the system lets us."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def try_lock(number: int) -> bool | None:
    """Lock without waiting: False when another process has the lock, None when none can have it."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks: leftovers stay, because nobody can tell that they are.
        return None
    return True


def is_still(path: Path, number: int) -> bool:
    """Tell whether a name still belongs to an open file."""
    try:
        named = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(number))


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on disk."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
