"""Reading every byte of what is at a path, sharded or not."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

from kneighbors.artifact import PartReport, verify
from kneighbors.artifact.names import SHARDS
from kneighbors.artifact.publishing import resolved
from kneighbors.search.progress import Progress, ignore
from kneighbors.shards.member import open_shard
from kneighbors.shards.opening import is_sharded, read_manifest


def verify_saved(
    path: str | os.PathLike[str], *, progress: Progress | None = None
) -> list[PartReport]:
    """Read every byte, and compare it with what was saved.

    Parameters
    ----------
    path : str or path
        A directory, sharded or not, or a ``.tar.gz``.
    progress : callable, optional
        Called as ``progress("verifying", done, total)`` in bytes.

    Returns
    -------
    list of PartReport
        As of `kneighbors.artifact.verify`; the parts of shards with their folders before them.

    Raises
    ------
    StorageError, ArtifactError
        As `kneighbors.artifact.verify`, and `kneighbors.shards.open_sharded`.
    """
    source = resolved(path)
    if not is_sharded(source):
        return verify(path, progress=progress)
    report = progress or ignore
    manifest = read_manifest(source)
    reports = [PartReport("manifest", SHARDS, (source / SHARDS).stat().st_size)]
    before = 0
    for entry in manifest.shards:
        told = partial(_told, report, before, manifest.total_bytes)
        found = verify(source / entry.folder, progress=told)
        if all(one.is_whole for one in found):
            open_shard(source / entry.folder, entry, manifest).close()
        reports += [
            replace(one, name=f"{entry.folder}/{one.name}", file=f"{entry.folder}/{one.file}")
            for one in found
        ]
        before += entry.bytes
    return reports


def _told(report: Progress, before: int, total: int, stage: str, done: int, _: int) -> None:
    report(stage, before + done, total)
