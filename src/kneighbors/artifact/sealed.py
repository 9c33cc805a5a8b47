"""Parts of an artifact copied into memory that nothing can change, once for several processes.

A mapped file is what the file is: cut it short, and whoever touches what is gone is killed by the
system (SIGBUS); write into it, and the answers change. So a process that must not die does not map
files. It copies the parts, while their SHA-256 is taken, into a *sealed* file in memory (memfd,
``F_SEAL_WRITE``), which the kernel lets nobody cut or write to, and maps that.

`docs/decisions/0012-files-that-change-under-a-server.md` has what it costs.
"""

from __future__ import annotations

from collections.abc import Mapping

from kneighbors.artifact.directory import OpenFile
from kneighbors.artifact.hashing import check_digests
from kneighbors.artifact.manifest import Part
from kneighbors.artifact.memfile import PAGE, MemoryFile, Write


def copy_of(
    files: Mapping[str, OpenFile], parts: Mapping[str, Part], digest: str
) -> dict[str, memoryview]:
    """Return the bytes of files, every one of them what was saved, and never to change.

    Parameters
    ----------
    files : mapping of str to OpenFile
        By the names of their parts.
    parts : mapping of str to Part
        What their SHA-256 must be.
    digest : str
        Of the manifest: the same digest means the same copy.

    Raises
    ------
    ArtifactError
        ``artifact-damaged``.
    StorageError
        When a file cannot be read, or there is not enough memory.

    Notes
    -----
    Takes the time to hash the files, about 0.7 ms a megabyte and thread, and their size in memory,
    which the system cannot take back as it can that of a mapped file.
    """
    places = {}
    size = PAGE
    for name, file in sorted(files.items()):
        places[name] = size, file.bytes
        size += -(-file.bytes // PAGE) * PAGE

    def fill(write: Write) -> None:
        def copied(name: str) -> str:
            offset = places[name][0]
            return files[name].sha256(lambda start, data: write(offset + start, data))

        check_digests(copied, files, parts)

    view = MemoryFile.shared(f"parts {digest}", size, fill).view
    return {name: view[start : start + length] for name, (start, length) in places.items()}
