"""Room for copies: where they lie, how much they may take, and which of them go first."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kneighbors.artifact.names import UNFINISHED
from kneighbors.artifact.staging import remove
from kneighbors.errors import ParameterRefused, StorageError
from kneighbors.generations.generation import is_id
from kneighbors.storage.conditional import LOCK

LIMIT_VARIABLE = "KNEIGHBORS_CACHE_BYTES"


@dataclass(frozen=True, order=True)
class Copy:
    """A copy of a generation, or of some of it.

    Parameters
    ----------
    used_s : float
        When it was last asked for.
    path : Path
    bytes : int
    """

    used_s: float
    path: Path
    bytes: int


def make_room(root: Path, own: Path, generation: str, wanted: int) -> None:
    """See that so many bytes may be written, if need be by removing copies.

    Those go first that nobody has asked for longest; who has one open keeps what is open.

    Parameters
    ----------
    root : Path
        The directory for copies of all places.
    own : Path
        That of one place, whose lock the caller holds.
    generation : str
        Its generation that is being fetched, of which nothing is removed.
    wanted : int

    Raises
    ------
    StorageError
        ``storage-full`` if there is no room on the disk, or within the limit.
    ParameterRefused
        ``cache-limit`` if the limit is no number.
    """
    limit = limit_of_copies()
    if limit is not None:
        _keep_within(limit, root, own, generation, wanted)
    free = shutil.disk_usage(own).free
    if free < wanted:
        raise StorageError(
            "storage-full",
            f"Expected {wanted:,} free bytes for a generation, got {free:,}.",
            where=str(own),
            hint="Free some, or give another directory for copies.",
        )


def limit_of_copies() -> int | None:
    """Return how many bytes all copies may take, by ``KNEIGHBORS_CACHE_BYTES``; None if all."""
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise ParameterRefused(
            "cache-limit",
            f"Expected a number of bytes, got {text:.40}.",
            where=LIMIT_VARIABLE,
            hint="Such as 200000000000; leave it away for no limit.",
        )
    return int(text)


def mark_used(path: Path) -> None:
    """Note that a copy was asked for just now."""
    with suppress(OSError):
        os.utime(path)


def is_copy_of(name: str, generation: str) -> bool:
    """Tell whether a directory is a copy of a generation, or of some of it."""
    return name.partition(".")[0] == generation


def is_copy(name: str) -> bool:
    """Tell whether a directory is a copy of any generation."""
    return is_id(name.partition(".")[0])


def remove_copy(path: Path) -> None:
    """Remove a copy, at once as far as its name goes."""
    aside = path.with_name(f"{UNFINISHED}{os.getpid()}-{secrets.token_hex(8)}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        remove(aside)


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Let one process work on the copies of a place; tell whether that is this one.

    Parameters
    ----------
    folder : Path
    wait : bool, default=True
        Whether to wait for others, and for what they fetch.
    """
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(number)


def _keep_within(limit: int, root: Path, own: Path, generation: str, wanted: int) -> None:
    copies = sorted(_copies(root))
    excess = sum(copy.bytes for copy in copies) + wanted - limit
    for copy in copies:
        if excess <= 0:
            return
        is_own = copy.path.parent == own
        if is_own and is_copy_of(copy.path.name, generation):
            continue
        if is_own:
            remove_copy(copy.path)
            excess -= copy.bytes
            continue
        with locked(copy.path.parent, wait=False) as is_ours:
            if is_ours:
                remove_copy(copy.path)
                excess -= copy.bytes
    if excess > 0:
        raise StorageError(
            "storage-full",
            f"Expected {wanted:,} bytes more to be within the {limit:,} that copies may take, got "
            f"{excess:,} too many.",
            where=str(root),
            hint=f"Allow more by {LIMIT_VARIABLE}, or hold fewer shards on this machine.",
        )


def _copies(root: Path) -> Iterator[Copy]:
    for place in root.iterdir():
        if not place.is_dir():
            continue
        for path in place.iterdir():
            if is_copy(path.name):
                with suppress(FileNotFoundError):  # another process removes it
                    files = [one for one in path.rglob("*") if one.is_file()]
                    size = sum(one.stat().st_size for one in files)
                    yield Copy(path.stat().st_mtime, path, size)
