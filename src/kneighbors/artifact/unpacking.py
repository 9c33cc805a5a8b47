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
from kneighbors.artifact.manifest import MAX_MANIFEST_BYTES, Manifest, too_large
from kneighbors.artifact.names import MANIFEST
from kneighbors.artifact.partfile import PartFile
from kneighbors.artifact.publishing import publish, resolved
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
    manifest: list[Manifest] = []

    def write(stage: Stage) -> bytes:
        with _opened(source) as file:
            unpacking = _Unpacking(stage, target, str(source))
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
    data = None
    limits = ArchiveLimits()
    with _opened(source) as file:
        total = os.fstat(file.fileno()).st_size
        walk = Walk(stream := Inflated(file, str(source), limits), str(source), limits)
        for member in walk.members():
            if member.name == MANIFEST:
                data = _manifest_bytes(walk, member, str(source))
                continue
            digest = sha256()
            for piece in walk.chunks():
                digest.update(piece)
                progress("verifying", stream.bytes_in, total)
            found[member.name] = member.size, digest.hexdigest()
    manifest = Manifest.from_bytes(_present(data, str(source)))
    reports = [("manifest", MANIFEST, len(data or b""), tuple[str, ...]())]
    for name, part in sorted(manifest.parts.items()):
        faults = []
        if part.file not in found:
            faults.append("the file is missing")
        elif found[part.file] != (part.bytes, part.sha256):
            faults.append("the length or the SHA-256 differs")
        reports.append((name, part.file, part.bytes, tuple(faults)))
    return reports


class _Unpacking:
    """The members of one archive on their way into a stage."""

    def __init__(self, stage: Stage, target: Path, where: str) -> None:
        self._stage = stage
        self._target = target
        self._where = where
        self._files: dict[str, PartFile] = {}
        self._manifest: Manifest | None = None

    def run(self, file: BinaryIO, limits: ArchiveLimits, progress: Progress) -> bytes:
        """Write the files that belong, and return the text of the manifest."""
        total = os.fstat(file.fileno()).st_size
        data = None
        stream = Inflated(file, self._where, limits)
        walk = Walk(stream, self._where, limits)
        for member in walk.members():
            if member.name == MANIFEST:
                data = _manifest_bytes(walk, member, self._where)
                self._manifest = Manifest.from_bytes(data, f"{self._where}, {MANIFEST}")
            elif self._is_wanted(member):
                self._refuse_without_room(member.size)
                with closing(self._stage.create(member.name)) as part:
                    if part.name != member.name:
                        raise StorageError(
                            "storage-exists",
                            "Expected an empty directory, got one with a file of this name.",
                            where=str(self._target / member.name),
                        )
                    self._files[member.name] = part
                    for piece in walk.chunks():
                        part.write(piece)
                        progress("unpacking", stream.bytes_in, total)
        data = _present(data, self._where)
        self._compare(Manifest.from_bytes(data, f"{self._where}, {MANIFEST}"))
        return data

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


def _manifest_bytes(walk: Walk, member: Member, where: str) -> bytes:
    if member.size > MAX_MANIFEST_BYTES:
        raise too_large(member.size, where)
    return b"".join(walk.chunks())


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
