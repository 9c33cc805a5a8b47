"""A file that is replaced only by who knows what it holds: a compare-and-swap on a file system.

Whoever writes holds a lock (flock) on a file of its own beside the target, ``.kneighbors-lock``,
which stays. The new bytes grow beside the target under one name for each target, so a writer that
is killed leaves at most that, and the next writer takes it over. Readers need no lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from kneighbors.errors import StorageError
from kneighbors.storage.address import Address
from kneighbors.storage.failures import translated

LOCK = ".kneighbors-lock"

#: Longest object that is read and replaced as one piece.
MAX_BYTES = 1 << 21

#: The lock is held for two writes to the disk. Who holds it longer is stuck.
_PATIENCE_S = 10.0
_BETWEEN_TRIES_S = 0.005
_READ_AT_ONCE = 1 << 20


def put_if_unchanged(
    address: Address, data: bytes | bytearray | memoryview, expected: str | None
) -> str:
    """Write a file if it holds what the caller believes; see `Store.put_if`."""
    with translated(address):
        # A link stays a link: what it points at is replaced.
        target = Path(os.path.realpath(address.path))
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent / LOCK, address):
            if _tag_at(target) != expected:
                raise changed(address, expected)
            _replace(target, memoryview(data).cast("B"))
    return tag_of(data)


def tag_of(data: bytes | bytearray | memoryview) -> str:
    """Return the version tag of a file: the SHA-256 of what it holds."""
    return sha256(data).hexdigest()


def too_large(address: Address, size: int) -> StorageError:
    """Return the refusal of an object that is too long to be read as one piece."""
    return StorageError(
        "storage-too-large",
        f"Expected a small object of at most {MAX_BYTES:,} bytes, got {size:,}.",
        where=address.shown,
    )


def changed(address: Address, expected: str | None) -> StorageError:
    """Return the refusal of a write that would have overwritten somebody else's."""
    wanted = "none to be there" if expected is None else "the version that was read"
    return StorageError(
        "storage-changed",
        f"Expected {wanted}, but another writer was faster. Nothing was written.",
        where=address.shown,
        hint="Read it again, and decide anew.",
    )


def _tag_at(target: Path) -> str | None:
    try:
        number = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    digest = sha256()
    try:
        while piece := os.read(number, _READ_AT_ONCE):
            digest.update(piece)
    finally:
        os.close(number)
    return digest.hexdigest()


def _replace(target: Path, data: memoryview) -> None:
    """Put bytes in the place of a file: on the disk before the name, the name before the return."""
    name = sha256(os.fsencode(target.name)).hexdigest()[:16]
    growing = target.parent / f".kneighbors-{name}.next"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        number = os.open(growing, flags, 0o666)
        try:
            while len(data):
                data = data[os.write(number, data) :]
            os.fsync(number)
        finally:
            os.close(number)
        growing.rename(target)
    except BaseException:
        with suppress(OSError):
            growing.unlink()
        raise
    number = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _locked(path: Path, address: Address) -> Iterator[None]:
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        _lock(number, address)
        yield
    finally:
        os.close(number)


def _lock(number: int, address: Address) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise StorageError(
                    "storage-busy",
                    f"Expected the lock to be free within {_PATIENCE_S:g} s, but another process "
                    "holds it.",
                    where=address.shown,
                    hint="Find out what stops the other writer.",
                ) from None
            time.sleep(_BETWEEN_TRIES_S)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            # Without a lock, two writers could both believe that they were first.
            raise StorageError(
                "storage-failed",
                "Expected a file system with locks (flock), got one without.",
                where=address.shown,
                hint="Write to another file system, or to S3.",
            ) from error
        else:
            return
