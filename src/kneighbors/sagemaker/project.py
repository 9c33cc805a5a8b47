"""A folder to start a SageMaker job from: a script to be edited, and what it requires."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kneighbors import __version__
from kneighbors.artifact.publishing import resolved
from kneighbors.errors import StorageError
from kneighbors.sagemaker.packaged import OWN_SCRIPT
from kneighbors.sagemaker.source_tree import own_script, package_files
from kneighbors.storage import translated
from kneighbors.storage.address import Address
from kneighbors.storage.local import LocalStore

__all__ = ["write_project"]

_REQUIREMENTS = "requirements.txt"


def write_project(
    folder: str | os.PathLike[str], *, with_package: bool = False, overwrite: bool = False
) -> list[Path]:
    """Write a script for training and hosting, and its requirements.

    Parameters
    ----------
    folder : str or path
        Made if it is missing; other files in it are left alone.
    with_package : bool, default=False
        Put this package beside the script instead of into the requirements, so that a job installs
        nothing.
    overwrite : bool, default=False
        Replace files that are there.

    Returns
    -------
    list of Path
        The script first.

    Raises
    ------
    ParameterRefused
        ``artifact-path`` when `folder` can be no path.
    StorageError
        ``storage-exists`` when a file is there, before anything is written; or what the system
        refused, and then no new file or folder is left.
    """
    needed = "" if with_package else f"kneighbors=={__version__}\n"
    contents = {OWN_SCRIPT: own_script(OWN_SCRIPT), _REQUIREMENTS: needed.encode()}
    if with_package:
        contents |= package_files()
    # Empty, it would be the current one; an unset variable of a shell is meant seldom.
    resolved(folder)
    paths = {Path(folder) / name: data for name, data in contents.items()}
    with translated(folder):
        existing = [path for path in paths if path.exists()]
    if existing and not overwrite:
        raise StorageError(
            "storage-exists",
            "Expected new files, got the name of one that exists.",
            where=str(existing[0]),
            hint="Choose another folder, or give --force to replace it.",
        )
    with _whole_or_absent(paths):
        for path, data in paths.items():
            LocalStore().put(Address.parse(path), data)
    return list(paths)


@contextmanager
def _whole_or_absent(paths: Collection[Path]) -> Iterator[None]:
    """Take back what was made, if not all of it can be."""
    files = [path for path in paths if not path.exists()]
    folders = {folder for path in files for folder in path.parents if not folder.exists()}
    try:
        yield
    except BaseException:
        for path in files:
            with suppress(OSError):
                path.unlink()
        for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        raise
