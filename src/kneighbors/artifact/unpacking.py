"""An artifact out of a ``.tar.gz``, written as a directory or only verified.

Archives that other tools made of the same directory are read as well as ours, in any order, with
other files in them, which are skipped.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from kneighbors.artifact.directory import damaged, wrong_length
from kneighbors.artifact.gunzip import ArchiveLimits, Inflated
from kneighbors.artifact.keys import PublicKeys, trusted
from kneighbors.artifact.manifest import MAX_MANIFEST_BYTES, Manifest, too_large
from kneighbors.artifact.names import MANIFEST, SIGNATURE
from kneighbors.artifact.partfile import PartFile
from kneighbors.artifact.publishing import publish, resolved
from kneighbors.artifact.signature import MAX_SIGNATURE_BYTES, faults_of, malformed
from kneighbors.artifact.staging import Stage
from kneighbors.artifact.tarball import Member, Walk
from kneighbors.errors import ArtifactError, StorageError
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import translated

_GZIP_MAGIC = b"\x1f\x8b\x08"


def unpack(
    archive: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    limits: ArchiveLimits | None = None,
    require_signature: str | os.PathLike[str] | PublicKeys | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write the artifact in a ``.tar.gz`` as a directory, whole or not at all.

    Members are read as streams and compared with the manifest; nothing but the artifact's own files
    is written. A subtree ``code/`` and other files at the top are skipped.

    Parameters
    ----------
    archive : str or path
        A file.
    directory : str or path
        A new path or an empty directory.
    limits : ArchiveLimits, optional
        What is refused as too large.
    require_signature : str, path or PublicKeys, optional
        Public keys, or their file, of which one must have signed the artifact.
    progress : callable, optional
        Called as ``progress("unpacking", done, total)`` in bytes of the archive.

    Returns
    -------
    Manifest

    Raises
    ------
    StorageError
        ``artifact-exists`` or ``storage-exists`` when something is there, ``storage-full`` when
        the files will not fit, or what else the system refuses. Nothing is left behind.
    ArtifactError
        ``artifact-unknown`` when it is no such archive, ``artifact-unsafe`` for links, devices,
        and names that lead elsewhere or collide, ``artifact-too-large``, ``artifact-damaged``,
        ``artifact-incomplete``, and whatever a manifest is refused for.
    """
    source, target = resolved(archive), resolved(directory)
    keys = trusted(require_signature)
    manifest: list[Manifest] = []

    def write(stage: Stage) -> bytes:
        with _opened(source) as file:
            unpacking = _Unpacking(stage, target, str(source), keys)
            data = unpacking.run(file, limits or ArchiveLimits(), progress or ignore)
        manifest[:] = [Manifest.from_bytes(data)]
        return data

    publish(target, False, write)
    return manifest[0]


def verify_archive(
    source: Path, progress: Progress = ignore
) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """Return (part, file, length, faults) of the manifest and of each part in an archive."""
    found: dict[str, tuple[int, str]] = {}
    head = _Head(str(source))
    limits = ArchiveLimits()
    with _opened(source) as file:
        total = os.fstat(file.fileno()).st_size
        walk = Walk(stream := Inflated(file, str(source), limits), str(source), limits)
        for member in walk.members():
            if head.take(member, walk):
                continue
            digest = sha256()
            for piece in walk.chunks():
                digest.update(piece)
                progress("verifying", stream.bytes_in, total)
            found[member.name] = member.size, digest.hexdigest()
    data = _present(head.manifest, str(source))
    manifest = Manifest.from_bytes(data)
    reports = [("manifest", MANIFEST, len(data), tuple[str, ...]())]
    if head.signature is not None:
        faults = faults_of(head.signature, data)
        reports.append(("signature", SIGNATURE, len(head.signature), faults))
    for name, part in sorted(manifest.parts.items()):
        faults = ()
        if part.file not in found:
            faults = ("the file is missing",)
        elif found[part.file] != (part.bytes, part.sha256):
            faults = ("the length or the SHA-256 differs",)
        reports.append((name, part.file, part.bytes, faults))
    return reports


def read_head(source: Path) -> tuple[bytes, bytes | None]:
    """Return the manifest of an archive and its signature, neither of them believed.

    Raises
    ------
    ArtifactError
        As of `unpack`.
    """
    head = _Head(str(source))
    limits = ArchiveLimits()
    with _opened(source) as file:
        walk = Walk(Inflated(file, str(source), limits), str(source), limits)
        for member in walk.members():
            head.take(member, walk)
            if head.is_whole:
                break
    return _present(head.manifest, str(source)), head.signature


class _Head:
    """The manifest and the signature, as far as an archive was read."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.manifest: bytes | None = None
        self.signature: bytes | None = None

    @property
    def is_whole(self) -> bool:
        """Whether both are there."""
        return self.manifest is not None and self.signature is not None

    def take(self, member: Member, walk: Walk) -> bool:
        """Read a member, if it is one of the two, and tell whether it was."""
        if member.name == MANIFEST:
            if member.size > MAX_MANIFEST_BYTES:
                raise too_large(member.size, self._where)
            self.manifest = b"".join(walk.chunks())
        elif member.name == SIGNATURE:
            if member.size > MAX_SIGNATURE_BYTES:
                raise malformed(f"{member.size:,} bytes", self._where)
            self.signature = b"".join(walk.chunks())
        else:
            return False
        return True


class _Unpacking:
    """The members of one archive on their way into a stage."""

    def __init__(self, stage: Stage, target: Path, where: str, keys: PublicKeys | None) -> None:
        self._stage = stage
        self._target = target
        self._where = where
        self._keys = keys
        self._head = _Head(where)
        self._files: dict[str, PartFile] = {}
        self._manifest: Manifest | None = None

    def run(self, file: BinaryIO, limits: ArchiveLimits, progress: Progress) -> bytes:
        """Write the files that belong, and return the text of the manifest."""
        total = os.fstat(file.fileno()).st_size
        stream = Inflated(file, self._where, limits)
        walk = Walk(stream, self._where, limits)
        for member in walk.members():
            if self._head.take(member, walk):
                self._believe()
            elif self._is_wanted(member):
                self._refuse_without_room(member.size)
                with closing(self._create(member.name)) as part:
                    self._files[member.name] = part
                    for piece in walk.chunks():
                        part.write(piece)
                        progress("unpacking", stream.bytes_in, total)
        data = _present(self._head.manifest, self._where)
        # What was understood already was signed as well.
        if self._manifest is None:
            self._check_signature(data)
        self._compare(self._manifest or Manifest.from_bytes(data, f"{self._where}, {MANIFEST}"))
        if self._head.signature is not None:
            with closing(self._create(SIGNATURE)) as file_of_signature:
                file_of_signature.write(self._head.signature)
        return data

    def _believe(self) -> None:
        """Understand the manifest, as soon as that is allowed."""
        data = self._head.manifest
        if data is not None and (self._keys is None or self._head.is_whole):
            self._check_signature(data)
            self._manifest = Manifest.from_bytes(data, f"{self._where}, {MANIFEST}")

    def _check_signature(self, manifest: bytes) -> None:
        if self._keys is not None:
            self._keys.check(manifest, self._head.signature, self._where)

    def _create(self, name: str) -> PartFile:
        part = self._stage.create(name)
        if part.name != name:
            raise StorageError(
                "storage-exists",
                "Expected an empty directory, got one with a file of this name.",
                where=str(self._target / name),
            )
        return part

    def _is_wanted(self, member: Member) -> bool:
        """Tell whether to write a file: any that could be a part, until the manifest is known."""
        if self._manifest is None:
            return True
        part = next((p for p in self._manifest.parts.values() if p.file == member.name), None)
        if part is not None and part.bytes != member.size:
            raise wrong_length(f"{self._where}, {part.file}", member.size, part.bytes)
        return part is not None

    def _refuse_without_room(self, size: int) -> None:
        room = os.statvfs(self._target.parent)
        free = room.f_bavail * room.f_frsize
        if size > free:
            raise StorageError(
                "storage-full",
                f"Expected room for {size:,} bytes, got {free:,}.",
                where=str(self._target),
            )

    def _compare(self, manifest: Manifest) -> None:
        for part in manifest.parts.values():
            file = self._files.pop(part.file, None)
            where = f"{self._where}, {part.file}"
            if file is None:
                raise ArtifactError(
                    "artifact-incomplete",
                    f"Expected the part {part.name!r}, found nothing.",
                    where=where,
                )
            if (file.bytes, file.sha256) != (part.bytes, part.sha256):
                raise damaged(where, 0, file.bytes, "the length or the SHA-256 differs")
        for file in self._files.values():
            self._stage.remove(file)


def _present(data: bytes | None, where: str) -> bytes:
    if data is None:
        raise ArtifactError(
            "artifact-unknown",
            f"Expected an archive of an artifact, got one without {MANIFEST}.",
            where=where,
        )
    return data


def _opened(source: Path) -> BinaryIO:
    """Return an archive opened for reading, if it looks like one."""
    with translated(source):
        # Asked first, for opening a FIFO would wait for somebody to write to it.
        if stat.S_ISREG(source.stat().st_mode):
            file = source.open("rb")
            if file.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
                return file
            file.close()
    raise ArtifactError(
        "artifact-unknown",
        "Expected the directory of an artifact, or a .tar.gz of one, got another file.",
        where=str(source),
    )
