"""What is at a path that somebody wants to save to."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from kneighbors.artifact.manifest import FORMAT, MAX_MANIFEST_BYTES
from kneighbors.artifact.names import COMPANY, MANIFEST, PART_FILE, SIGNATURE, UNFINISHED
from kneighbors.errors import StorageError

#: How often something is looked at anew that changes while it is being looked at.
_ATTEMPTS = 100


class Kind(Enum):
    """What occupies a path."""

    NOTHING = "nothing"
    EMPTY = "an empty directory"
    VACANT = "a directory without an artifact, but with company that may stay"
    ARTIFACT = "an artifact"
    OTHER = "something else"


@dataclass(frozen=True)
class Occupancy:
    """What is at a path.

    Attributes
    ----------
    kind : Kind
    files : frozenset of str
        Files of the artifact, manifest included, as far as they are there.
    company : frozenset of str
        What lies beside them and is not the artifact's.
    """

    kind: Kind
    files: frozenset[str] = frozenset()
    company: frozenset[str] = frozenset()

    def refuse(self, path: Path, overwrite: bool) -> None:
        """Refuse to save over something else, or over an artifact unless that is wanted.

        Raises
        ------
        StorageError
            ``artifact-exists`` or ``storage-exists``.
        """
        if self.kind is Kind.ARTIFACT and not overwrite:
            raise StorageError(
                "artifact-exists",
                "Expected a new path, got that of an artifact.",
                where=str(path),
                hint="Choose another, or ask for it to be overwritten.",
            )
        if self.kind is Kind.OTHER:
            raise StorageError(
                "storage-exists",
                "Expected a new path, an empty directory or an artifact, got something else.",
                where=str(path),
                hint="Choose another; what is not an artifact is never overwritten.",
            )


def look(path: Path) -> Occupancy:
    """Tell what is at a path. A damaged manifest counts as one if it still says what it is.

    Raises
    ------
    OSError
        When the path cannot be looked at.
    """
    for _ in range(_ATTEMPTS):
        try:
            status = path.lstat()
        except FileNotFoundError:
            return Occupancy(Kind.NOTHING)
        if not stat.S_ISDIR(status.st_mode):
            return Occupancy(Kind.OTHER)
        try:
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            before = _identity(directory)
            seen = _look_into(directory)
            # While somebody replaces it, the names of one artifact meet the manifest of another.
            if before == _identity(directory) and _is_at(path, directory):
                return seen
        finally:
            os.close(directory)
    return Occupancy(Kind.OTHER)


def _look_into(directory: int) -> Occupancy:
    entries = frozenset(os.listdir(directory))
    if not entries:
        return Occupancy(Kind.EMPTY)
    known = _files_of_artifact(directory) if MANIFEST in entries else None
    if known is not None:
        return Occupancy(Kind.ARTIFACT, entries & known, entries - known)
    # Unfinished work of a writer in place: its journal tells which files are leftovers.
    journals = {name for name in entries if name.startswith(UNFINISHED)}
    rest = entries - COMPANY - journals
    if not rest or (journals and all(PART_FILE.fullmatch(name) for name in rest)):
        return Occupancy(Kind.VACANT, company=entries)
    return Occupancy(Kind.OTHER)


def _identity(directory: int) -> tuple[int, int] | None:
    """Tell the manifest in a directory from one that took its place."""
    try:
        status = os.stat(MANIFEST, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_ctime_ns


def _is_at(path: Path, directory: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(directory))
    except FileNotFoundError:
        return False


def _files_of_artifact(directory: int) -> frozenset[str] | None:
    """Return the manifest's file, its signature's and those it names; None if it is not ours."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(MANIFEST, flags, dir_fd=directory)
    except OSError as error:
        # Gone meanwhile, a link, or a socket.
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:
            return None
        raise
    try:
        is_file = stat.S_ISREG(os.fstat(number).st_mode)
        data = os.pread(number, MAX_MANIFEST_BYTES, 0) if is_file else b""
    finally:
        os.close(number)
    try:
        fields = json.loads(data)
        parts = fields["parts"].values() if fields["format"] == FORMAT else None
        names = None if parts is None else [part["file"] for part in parts]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    if names is None or not all(isinstance(n, str) and PART_FILE.fullmatch(n) for n in names):
        return None
    return frozenset([MANIFEST, SIGNATURE, *names])
