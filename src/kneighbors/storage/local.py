"""Files of this machine as a store."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from kneighbors.errors import StorageError
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage.address import Address
from kneighbors.storage.conditional import MAX_BYTES, put_if_unchanged, tag_of, too_large
from kneighbors.storage.failures import storage_error, translated
from kneighbors.storage.store import Entry

_CHUNK_BYTES = 8 << 20


class LocalStore:
    """Files, directories and the links between them.

    What is written appears under its name only when it is complete and on the disk: it grows
    beside its place under a name that begins with ``.kneighbors-``, and takes its place in one
    step. A link at the target is followed, and stays.
    """

    def list(self, address: Address) -> Iterator[Entry]:
        """Yield the files below a directory, links followed, in the order of names.

        Raises
        ------
        StorageError
            With code ``storage-missing``, ``storage-not-a-directory``, ``storage-forbidden``, or
            ``storage-not-a-file`` for a pipe, a socket or a device among the files.
        """
        with translated(address):
            status = address.path.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise _system_error(errno.ENOTDIR, address)
        top = address if address.is_prefix else Address("file", "", address.key + "/")
        yield from _below(top, ((status.st_dev, status.st_ino),))

    def size(self, address: Address) -> int:
        """Return the length of a file.

        Raises
        ------
        StorageError
            With code ``storage-missing``, or ``storage-not-a-file`` for a directory, a pipe or a
            device.
        """
        with translated(address):
            status = address.path.stat()
        _demand_file(status, address)
        return status.st_size

    def exists(self, address: Address) -> bool:
        """Tell whether there is a file or, where the address ends in a slash, a directory."""
        try:
            with translated(address):
                mode = address.path.stat().st_mode
        except StorageError as error:
            if error.code in ("storage-missing", "storage-not-a-directory"):
                return False
            raise
        return stat.S_ISDIR(mode) if address.is_prefix else stat.S_ISREG(mode)

    def open_read(self, address: Address) -> BinaryIO:
        """Open a file; a pipe or a device is refused before it can block."""
        with translated(address):
            descriptor = os.open(address.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                _demand_file(os.fstat(descriptor), address)
                os.set_blocking(descriptor, True)
                return os.fdopen(descriptor, "rb")
            except BaseException:
                os.close(descriptor)
                raise

    def read(self, address: Address, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of a file.

        Raises
        ------
        StorageError
            With code ``storage-truncated`` if the file ends before `stop`.
        """
        with translated(address), self.open_read(address) as file:
            file.seek(start)
            data = file.read() if stop is None else file.read(stop - start)
        if stop is not None and len(data) < stop - start:
            raise StorageError(
                "storage-truncated",
                f"Expected {stop - start} bytes from byte {start} on, got {len(data)}.",
                where=address.shown,
            )
        return data

    def download(self, address: Address, path: Path, progress: Progress = ignore) -> int:
        """Copy a file to a path, whole or not at all."""
        return _copy(address, Address("file", "", os.fspath(path)), progress)

    def upload(self, path: Path, address: Address, progress: Progress = ignore) -> int:
        """Copy a path to a file, whole or not at all."""
        return _copy(Address("file", "", os.fspath(path)), address, progress)

    def put(self, address: Address, data: bytes | bytearray | memoryview) -> None:
        """Write a file, whole or not at all; directories that are missing are made."""
        with writing_whole(address) as file:
            file.write(data)

    def put_if(
        self, address: Address, data: bytes | bytearray | memoryview, expected: str | None
    ) -> str:
        """Write a file if it holds what the caller believes, whole or not at all.

        Of all writers that use this method one is first; see `kneighbors.storage.conditional`. The
        tag is the SHA-256 of what the file holds.

        Raises
        ------
        StorageError
            With code ``storage-changed``, or ``storage-busy`` if another writer hangs.
        """
        return put_if_unchanged(address, data, expected)

    def read_tagged(self, address: Address) -> tuple[bytes, str]:
        """Return what a small file holds, and its tag.

        Raises
        ------
        StorageError
            With code ``storage-too-large`` for more than 2 MiB, and as `read`.
        """
        with translated(address), self.open_read(address) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise too_large(address, address.path.stat().st_size)
        return data, tag_of(data)

    def delete(self, address: Address) -> None:
        """Remove a file; there need be none."""
        with translated(address):
            address.path.unlink(missing_ok=True)


@contextmanager
def writing_whole(address: Address) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes its place when the block ends without an error.

    The bytes are on the disk before the name changes, and the name is on the disk before this
    returns. After an error, what was there before is still there, and nothing else.

    Raises
    ------
    StorageError
        See `kneighbors.storage.storage_error`.
    """
    with translated(address):
        # A link stays a link: what it points at is replaced.
        target = Path(os.path.realpath(address.path))
        if target.is_dir():
            raise _system_error(errno.EISDIR, address)
        target.parent.mkdir(parents=True, exist_ok=True)
        growing, descriptor = _growing(target)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            growing.replace(target)
        except BaseException:
            with suppress(OSError):
                growing.unlink()
            raise
        _sync_directory(target.parent)


def _growing(target: Path) -> tuple[Path, int]:
    """Make the file that is to become a target, under the name that a dead writer may have left.

    Its lock (flock) tells who is dead. Beside a living writer to the same target, and where there
    are no locks, the name is one of its own.
    """
    # The name of the target may have the greatest length there is, so it is no part of this.
    digest = sha256(os.fsencode(target.name)).hexdigest()[:16]
    usual = target.parent / f".kneighbors-{digest}.part"
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(usual, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
            # Its writer may have given it its name meanwhile, and nobody else's file is touched.
            if os.path.samestat(usual.lstat(), status) and _is_own(status):
                os.ftruncate(descriptor, 0)
                return usual, descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
    own = target.parent / f".kneighbors-{secrets.token_hex(8)}.part"
    return own, os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _is_own(status: os.stat_result) -> bool:
    """Tell whether a file is a regular one of this user's with a single name."""
    is_single = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    return is_single and status.st_uid == os.geteuid()


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: Address, target: Address, progress: Progress) -> int:
    done = 0
    with LocalStore().open_read(source) as file, writing_whole(target) as out:
        total = os.fstat(file.fileno()).st_size
        while True:
            with translated(source):
                chunk = file.read(_CHUNK_BYTES)
            if not chunk:
                return done
            out.write(chunk)
            done += len(chunk)
            progress("copying", done, max(done, total))


def _demand_file(status: os.stat_result, address: Address) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise StorageError(
            "storage-not-a-file", f"Expected a file, got {kind}.", where=address.shown
        )


def _below(top: Address, above: tuple[tuple[int, int], ...]) -> Iterator[Entry]:
    """Yield the files below `top`; `above` are the directories that lead here."""
    with translated(top):
        names = [path.name for path in top.path.iterdir()]
    found = []
    for name in names:
        address = top / name
        with translated(address):
            status = address.path.stat()
        # S3 sorts whole keys, where the name of a directory goes on with a slash.
        found.append((name + "/" if stat.S_ISDIR(status.st_mode) else name, status))
    for name, status in sorted(found, key=lambda pair: os.fsencode(pair[0])):
        address = top / name
        if not address.is_prefix:
            _demand_file(status, address)
            yield Entry(address, status.st_size, status.st_mtime)
        elif (status.st_dev, status.st_ino) in above:
            raise _system_error(errno.ELOOP, address)
        else:
            yield from _below(address, (*above, (status.st_dev, status.st_ino)))


def _system_error(number: int, address: Address) -> StorageError:
    return storage_error(OSError(number, os.strerror(number)), address)
