"""Comparing files with their SHA-256, several at a time where that pays."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from kneighbors.artifact.directory import OpenFile, damaged
from kneighbors.artifact.manifest import Part

#: Below this many bytes, hashing takes less time than starting threads.
_WORTH_THREADS = 1 << 22
_MOST_THREADS = 4


def check_digests(
    digest_of: Callable[[str], str], files: Mapping[str, OpenFile], parts: Mapping[str, Part]
) -> None:
    """Refuse files that are not what was saved.

    Parameters
    ----------
    digest_of : callable
        Reads the file of a part to its end, and returns its SHA-256.
    files, parts : mapping
        By the names of the parts.

    Raises
    ------
    ArtifactError
        ``artifact-damaged``.
    """
    names = sorted(files, key=lambda name: -files[name].bytes)
    if sum(files[name].bytes for name in names) < _WORTH_THREADS:
        digests = [digest_of(name) for name in names]
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            digests = list(pool.map(digest_of, names))
    for name, digest in zip(names, digests, strict=True):
        if digest != parts[name].sha256:
            raise damaged(files[name].where, 0, files[name].bytes, "the SHA-256 differs")
