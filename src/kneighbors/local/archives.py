"""A model's archive, unpacked into a container's directory.

Archives come from anywhere: what is no plain file or directory below the target is refused, and so
are two members of one name, for which of them wins depends on the program that unpacks.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO

#: More members than any model has; each costs an inode.
_MOST_MEMBERS = 200_000

#: Room that is left on the disk, for logs and for the container itself.
_RESERVE_BYTES = 64 << 20

_CHUNK_BYTES = 1 << 20


class ArchiveRefused(ValueError):
    """An archive that is broken, unsafe or too large; the message says which."""


def unpack(archive: Path, target: Path) -> None:
    """Unpack a ``.tar.gz`` into a directory, which is made.

    Files are readable and directories can be entered by all; nothing else of a member's mode but
    its execute bit is kept, and neither is its owner.

    Raises
    ------
    ArchiveRefused
        With what is wrong; the target may then hold a part of the content.
    """
    target.mkdir(parents=True, exist_ok=True)
    seen: set[tuple[str, ...]] = set()
    try:
        with gzip.open(archive) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for count, member in enumerate(tar, start=1):
                    if count > _MOST_MEMBERS:
                        raise ArchiveRefused(f"it has more than {_MOST_MEMBERS:,} members")
                    _place(tar, member, target, seen)
            while stream.read(_CHUNK_BYTES):
                pass  # the checksum comes last
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ArchiveRefused(_broken(error)) from error


def _place(
    tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, seen: set[tuple[str, ...]]
) -> None:
    parts = _parts(member)
    if not parts:
        return
    if parts in seen and not member.isdir():
        raise ArchiveRefused(f"the name {member.name!r:.200} occurs twice")
    seen.add(parts)
    path = target.joinpath(*parts)
    try:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ArchiveRefused(f"{member.name!r:.200} is a file and a directory") from None
    _refuse_without_room(member, target)
    source = tar.extractfile(member)
    if source is not None:
        _write(source, path, 0o755 if member.mode & 0o100 else 0o644)


def _parts(member: tarfile.TarInfo) -> tuple[str, ...]:
    """Return a member's name below the target, if it is one of a plain file or directory."""
    if member.issym() or member.islnk():
        raise ArchiveRefused(f"the member {member.name!r:.200} is a link")
    if member.issparse() or not (member.isreg() or member.isdir()):
        raise ArchiveRefused(f"the member {member.name!r:.200} is no plain file or directory")
    if member.name.startswith("/"):
        raise ArchiveRefused(f"the name {member.name!r:.200} is absolute")
    parts = tuple(part for part in member.name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ArchiveRefused(f"the name {member.name!r:.200} leads out of the archive with '..'")
    if any("\0" in part or len(os.fsencode(part)) > 255 for part in parts):
        raise ArchiveRefused(f"the name {member.name!r:.200} is none that a file can have")
    return parts


def _write(source: IO[bytes], path: Path, mode: int) -> None:
    # Exclusive: a name in other case may be the same file on some disks.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)


def _refuse_without_room(member: tarfile.TarInfo, target: Path) -> None:
    room = os.statvfs(target)
    free = room.f_bavail * room.f_frsize - _RESERVE_BYTES
    if member.size > free:
        raise ArchiveRefused(
            f"the member {member.name!r:.200} has {member.size:,} bytes, and the disk has room "
            f"for {max(free, 0):,}"
        )


def _broken(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f"it cannot be written: {error.strerror}"
    return f"it is no whole .tar.gz ({error})"
