"""A folder for what is needed for a while only."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kneighbors.storage.failures import translated


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a new folder in the directory for temporary files, and remove it with what is in it.

    Raises
    ------
    StorageError
        When it cannot be made. That it cannot be removed is no reason to fail.
    """
    with translated(tempfile.gettempdir()):
        folder = Path(tempfile.mkdtemp(prefix="kneighbors-"))
    try:
        yield folder
    finally:
        with suppress(OSError):
            shutil.rmtree(folder, ignore_errors=True)
