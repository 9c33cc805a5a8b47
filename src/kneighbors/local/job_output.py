"""What a job leaves behind, on its way to S3."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kneighbors.local.objects import split_s3

if TYPE_CHECKING:
    from kneighbors.local.objects import Objects

#: Stored, not compressed: a model is mostly floating point numbers, which hardly shrink, and gzip
#: takes a second for every 40 MB of them.
_LEVEL = 0


def upload_archive(objects: Objects, folders: list[Path], archive: Path, address: str) -> None:
    """Write one ``.tar.gz`` of several directories' content to S3.

    Parameters
    ----------
    objects : Objects
    folders : list of Path
        Of the job's hosts; where two have a file of one name, the first host's is taken.
    archive : Path
        Where to make it first.
    address : str
        ``s3://bucket/key``; the object appears there whole or not at all.
    """
    with tarfile.open(archive, "w:gz", compresslevel=_LEVEL, dereference=True) as tar:
        for name, path in _merged(folders):
            tar.add(path, name, recursive=False)
    objects.upload(archive, *split_s3(address))
    archive.unlink()


def upload_files(objects: Objects, folders: list[Path], address: str) -> None:
    """Write the files of several directories below a prefix of S3."""
    bucket, prefix = split_s3(address)
    for name, path in _merged(folders):
        if path.is_file():
            objects.upload(path, bucket, prefix + name)


def has_files(folders: list[Path]) -> bool:
    """Tell whether there is anything in one of the directories."""
    return any(path.is_file() for _, path in _merged(folders))


def _merged(folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yield names and paths of directories and files; links count as what they lead to."""
    seen: set[str] = set()
    for folder in folders:
        for name, path in _below(folder, "", frozenset()):
            if name not in seen:
                seen.add(name)
                yield name, path


def _below(folder: Path, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, Path]]:
    real = os.path.realpath(folder)
    if real in above or not folder.is_dir():  # a link to a directory that it lies in
        return
    for path in sorted(folder.iterdir()):
        name = prefix + path.name
        if path.is_dir():
            yield name, path
            yield from _below(path, f"{name}/", above | {real})
        elif path.is_file():  # neither a pipe nor a link that leads nowhere
            yield name, path
