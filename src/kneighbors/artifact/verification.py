"""Reading every byte of an artifact, and telling of each part whether it is what was saved."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256

from kneighbors.artifact.directory import Directory, OpenFile
from kneighbors.artifact.manifest import Part
from kneighbors.artifact.names import MANIFEST, SIGNATURE
from kneighbors.artifact.opened import Opened, is_current
from kneighbors.artifact.publishing import resolved
from kneighbors.artifact.signature import faults_of, read_signature
from kneighbors.errors import KNeighborsError
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import translated

#: A part with more damaged blocks than these has the rest counted, not listed.
_MOST_FAULTS = 20

#: How often an artifact is read anew that is replaced while it is being read.
_ATTEMPTS = 20


@dataclass(frozen=True)
class PartReport:
    """What was found in one part.

    Attributes
    ----------
    name : str
        The part; ``"manifest"`` for the manifest, which comes first.
    file : str
        Its file.
    bytes : int
        Length that it should have.
    faults : tuple of str
        What is wrong with it, nothing when it is whole.

    Examples
    --------
    >>> PartReport("head", "head.npy", 1024).is_whole
    True
    """

    name: str
    file: str
    bytes: int
    faults: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every byte is what was saved."""
        return not self.faults


def verify(path: str | os.PathLike[str], *, progress: Progress | None = None) -> list[PartReport]:
    """Read every byte of an artifact and compare it with what was saved.

    Parameters
    ----------
    path : str or path
        A directory, or a ``.tar.gz``, which is read as a stream and unpacked nowhere.
    progress : callable, optional
        Called as ``progress("verifying", done, total)`` in bytes.

    Returns
    -------
    list of PartReport
        The manifest's, the signature's if there is one (as far as can be told without a key), then
        one for each part in the order of their names.

    Raises
    ------
    StorageError, ArtifactError
        When there is no artifact, or when its manifest or its archive cannot be read, so that
        nothing can be told of its parts.

    Notes
    -----
    Takes the time to read everything once and hash it, the vectors twice: about 1 ms a megabyte.
    Memory is bounded by a megabyte.
    """
    source = resolved(path)
    with translated(source):
        is_directory = source.is_dir()
    if not is_directory:
        from kneighbors.artifact.unpacking import verify_archive

        return [
            PartReport(name, file, length, faults)
            for name, file, length, faults in verify_archive(source, progress or ignore)
        ]
    for _ in range(_ATTEMPTS):
        directory = Directory(source)
        seen = directory.identity_of(MANIFEST)
        try:
            reports = _reports(Opened(directory), progress or ignore)
        except KNeighborsError:
            if is_current(directory, seen):
                raise
            continue
        # Of an artifact that is replaced meanwhile, the old files vanish one after the other.
        if all(report.is_whole for report in reports) or is_current(directory, seen):
            return reports
    return _reports(Opened(Directory(source)), progress or ignore)


def _reports(opened: Opened, progress: Progress) -> list[PartReport]:
    manifest = opened.manifest
    reports = [PartReport("manifest", MANIFEST, len(opened.manifest_bytes))]
    signature = read_signature(opened.directory)
    if signature is not None:
        faults = faults_of(signature, opened.manifest_bytes)
        reports.append(PartReport("signature", SIGNATURE, len(signature), faults))
    done = 0
    for name, part in sorted(manifest.parts.items()):
        try:
            file = opened.open(part)
            if part.dtype != "arrow":
                opened.header(part, file)
            found = _vector_faults(opened, file) if name == "vectors" else _faults(part, file)
        except KNeighborsError as error:
            found = [str(error)]
        reports.append(PartReport(name, part.file, part.bytes, tuple(found)))
        done += part.bytes
        progress("verifying", done, manifest.total_bytes)
    return reports


def _faults(part: Part, file: OpenFile) -> list[str]:
    return [] if file.sha256() == part.sha256 else ["the SHA-256 differs"]


def _vector_faults(opened: Opened, file: OpenFile) -> list[str]:
    """Compare the vectors with their SHA-256, and each block with its own."""
    manifest = opened.manifest
    whole = sha256()
    damaged = []
    checksums = _checksums(opened)
    for block, start in enumerate(range(0, file.bytes, manifest.block_bytes)):
        data = file.read(start, min(manifest.block_bytes, file.bytes - start))
        whole.update(data)
        if checksums and sha256(data).digest() != checksums[block * 32 : block * 32 + 32]:
            damaged.append(f"bytes {start} to {start + len(data)} differ")
    faults = damaged[:_MOST_FAULTS]
    if len(damaged) > _MOST_FAULTS:
        faults.append(f"{len(damaged) - _MOST_FAULTS} more blocks differ")
    if whole.hexdigest() != manifest.parts["vectors"].sha256:
        faults.insert(0, "the SHA-256 differs")
    return faults


def _checksums(opened: Opened) -> bytes:
    """Return the checksums of the blocks; nothing if they cannot be relied upon."""
    part = opened.manifest.parts["vectors-blocks"]
    try:
        file = opened.open(part)
        offset = opened.header(part, file).offset
        return file.read(offset, file.bytes - offset) if not _faults(part, file) else b""
    except KNeighborsError:
        # Reported with that part.
        return b""
