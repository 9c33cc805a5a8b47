"""An artifact as one file, a ``.tar.gz``.

The archive has the manifest first, then its signature, if there is one, so that whoever unpacks it
knows from the start what may come.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from kneighbors.artifact.directory import Directory, OpenFile, damaged
from kneighbors.artifact.gunzip import ArchiveLimits
from kneighbors.artifact.gzip_header import BLANK, DIGEST_AT
from kneighbors.artifact.names import CODE, FOREIGN_MANIFEST, MANIFEST, SIGNATURE
from kneighbors.artifact.occupancy import Kind, look
from kneighbors.artifact.opened import Opened
from kneighbors.artifact.publishing import resolved
from kneighbors.artifact.signature import Signature, read_signature
from kneighbors.artifact.staging import make_locked, sweep, sync_directory
from kneighbors.artifact.tarball import BLOCK, build_header, padding
from kneighbors.errors import StorageError
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import translated

_COPIED_AT_ONCE = 1 << 20
#: A manifest of AWS's multi-model server that leaves everything as it is by default.
_NOTHING_SAID = b"{}\n"

#: Readers take what compresses better than `ArchiveLimits.ratio` for a bomb. An artifact like that
#: (all vectors alike, say) is stored uncompressed, so that `unpack` reads whatever `pack` writes.
_PACKED_AT_MOST = ArchiveLimits().ratio // 2


def pack(
    directory: str | os.PathLike[str],
    archive: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    level: int = 1,
    code: Mapping[str, bytes] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write an artifact as a ``.tar.gz``, whole or not at all.

    The same artifact gives the same bytes, with the same version of zlib. Every file is compared
    with its SHA-256 while it is read, so a damaged artifact is not packed.

    Parameters
    ----------
    directory : str or path
        The artifact.
    archive : str or path
        A new file; with `overwrite` an existing one.
    overwrite : bool, default False
        Replace a file that is there.
    level : int, default 1
        Of compression, 0 to 9. Vectors shrink by 7 % at 34 MB/s, hardly more at higher levels; 0
        stores them at the speed of the disk.
    code : mapping of str to bytes, optional
        Files to put under ``code/``, which readers of artifacts skip. With them comes an empty
        ``MAR-INF/MANIFEST.json``: without it, AWS's multi-model server reads ours, and fails.
    progress : callable, optional
        Called as ``progress("packing", done, total)`` in bytes.

    Raises
    ------
    StorageError
        ``artifact-exists`` when the file exists, or what the system refused.
    ArtifactError
        When the directory is no whole artifact.
    """
    opened = Opened(Directory(resolved(directory)))
    target = resolved(archive)

    def write(file: BinaryIO) -> None:
        if not _write(file, opened, level, code or {}, progress or ignore):
            file.truncate(0)
            file.seek(0)
            _write(file, opened, 0, code or {}, progress or ignore)

    new_archive(target, overwrite, write)


def new_archive(target: Path, overwrite: bool, write: Callable[[BinaryIO], None]) -> None:
    """Make a file at a path, whole or not at all.

    Parameters
    ----------
    target : Path
        As `resolved` returned it.
    overwrite : bool
        Whether a file that is there may be replaced.
    write : callable
        Writes the content into an open file.

    Raises
    ------
    StorageError
        ``artifact-exists``, or what the system refused; nothing is left behind.
    """
    with translated(target):
        if look(target).kind is not Kind.NOTHING and not (overwrite and target.is_file()):
            raise _exists(target)
        if not target.parent.is_dir():
            raise StorageError(
                "storage-missing",
                "Expected a directory to write to, found none.",
                where=str(target.parent),
                hint="Make it first.",
            )
        sweep(target)
        path, lock = make_locked(target, _make_file)
        try:
            with path.open("r+b", buffering=0) as file:
                write(file)
                os.fsync(file.fileno())
            _publish_file(path, target, overwrite)
        finally:
            path.unlink(missing_ok=True)
            os.close(lock)


def _write(
    file: BinaryIO, opened: Opened, level: int, code: Mapping[str, bytes], progress: Progress
) -> bool:
    """Write the archive; tell whether it is one that readers will not take for a bomb."""
    packer = TarGz(file, level)
    total = opened.manifest.total_bytes + len(opened.manifest_bytes)

    def step(data: bytes) -> bytes:
        progress("packing", min(packer.bytes_in + len(data), total), total)
        return data

    packer.add(MANIFEST, len(opened.manifest_bytes), [opened.manifest_bytes])
    signature = _signature(opened)
    if signature is not None:
        packer.add(SIGNATURE, len(signature), [signature])
    for part in sorted(opened.manifest.parts.values(), key=lambda part: part.file):
        source = opened.open(part)
        digest = sha256()
        packer.add(part.file, part.bytes, map(step, _pieces(source, digest)))
        if digest.hexdigest() != part.sha256:
            raise damaged(source.where, 0, part.bytes, "the SHA-256 differs")
    for name, data in sorted(code.items()):
        packer.add(f"{CODE}/{name}", len(data), [data])
    if code:
        packer.add(FOREIGN_MANIFEST, len(_NOTHING_SAID), [_NOTHING_SAID])
    packer.finish()
    return level == 0 or packer.bytes_in <= _PACKED_AT_MOST * file.tell()


def _signature(opened: Opened) -> bytes | None:
    """Return the text of the signature, if there is one, which must be that of this manifest."""
    text = read_signature(opened.directory)
    if text is not None:
        where = str(opened.path / SIGNATURE)
        Signature.from_bytes(text, where).check_subject(opened.manifest_bytes, where)
    return text


class TarGz:
    """A ``.tar.gz`` that is being written; the same members give the same bytes.

    Parameters
    ----------
    file : binary file
        Unbuffered, at its start.
    level : int
        Of compression, 0 to 9.

    Attributes
    ----------
    bytes_in : int
        How much was written, before compression.
    """

    def __init__(self, file: BinaryIO, level: int) -> None:
        self._file = file
        self._packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._checksum = 0
        self._digest = sha256()
        self.bytes_in = 0
        self._write(BLANK)

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        """Write one file, whose pieces have this length together."""
        self._put(build_header(name, size))
        for piece in pieces:
            self._put(piece)
        self._put(bytes(padding(size)))

    def finish(self) -> None:
        """Write what ends an archive."""
        self._put(bytes(2 * BLOCK))
        self._write(self._packer.flush())
        self._write(struct.pack("<II", self._checksum, self.bytes_in & 0xFFFFFFFF))
        data, at = self._digest.digest(), DIGEST_AT
        while data:
            count = os.pwrite(self._file.fileno(), data, at)
            data, at = data[count:], at + count

    def _put(self, data: bytes) -> None:
        self.bytes_in += len(data)
        self._checksum = zlib.crc32(data, self._checksum)
        self._write(self._packer.compress(data))

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        _write_all(self._file, data)


def _pieces(source: OpenFile, digest: Any) -> Iterator[bytes]:
    for start in range(0, source.bytes, _COPIED_AT_ONCE):
        data = source.read(start, min(_COPIED_AT_ONCE, source.bytes - start))
        digest.update(data)
        yield data


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while len(view):
        view = view[os.write(file.fileno(), view) :]


def _make_file(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))


def _publish_file(path: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        path.rename(target)
    else:
        try:
            # Unlike renaming, linking refuses to replace what appeared meanwhile.
            target.hardlink_to(path)
        except FileExistsError:
            raise _exists(target) from None
        except OSError:
            # A file system without hard links.
            path.rename(target)
    # A second name would make the file look tampered with.
    path.unlink(missing_ok=True)
    sync_directory(target.parent)


def _exists(target: Path) -> StorageError:
    return StorageError(
        "artifact-exists",
        "Expected a new file, got the name of something that exists.",
        where=str(target),
        hint="Choose another, or ask for it to be overwritten.",
    )
