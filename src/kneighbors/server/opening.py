"""Opening what is served, so that the workers share one copy of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kneighbors.errors import ArtifactError
from kneighbors.server.settings import Settings

if TYPE_CHECKING:
    from kneighbors.sagemaker.model import Model
    from kneighbors.server.lifecycle import Opener


_GZIP = b"\x1f\x8b"


def opener_of(settings: Settings, unpack_to: Path | None = None) -> Opener:
    """Return the function that opens the model of the settings.

    Parameters
    ----------
    settings : Settings
    unpack_to : Path, optional
        Directory in which an archive is unpacked, once for all the processes that are given the
        same one.
    """

    def open_model() -> Model:
        from kneighbors.sagemaker.model import Model

        path = Path(settings.model)
        if unpack_to is not None and not path.is_dir():
            path = _unpacked_once(path, unpack_to)
        return Model.open(
            path, limits=settings.limits, default_n_neighbors=settings.n_neighbors or None
        )

    return open_model


def check_model(settings: Settings) -> None:
    """Refuse at once what is no artifact; cheap, the parts are not read.

    Raises
    ------
    StorageError, ArtifactError
        As `kneighbors.artifact.open_artifact` raises them.
    """
    from kneighbors.artifact.directory import Directory
    from kneighbors.artifact.publishing import resolved
    from kneighbors.artifact.reader import Opened
    from kneighbors.storage import translated

    path = resolved(settings.model)
    if path.is_dir():
        Opened(Directory(path))
        return
    with translated(path), path.open("rb") as file:
        begins = file.read(len(_GZIP))
    if begins != _GZIP:
        raise ArtifactError(
            "artifact-unknown",
            "Expected an artifact, a directory or a .tar.gz, got a file that is neither.",
            where=str(path),
        )


@contextmanager
def room_for(settings: Settings) -> Iterator[Path | None]:
    """Provide the directory in which an archive is unpacked, and remove it in the end."""
    if Path(settings.model).is_dir():
        yield None
        return
    owner = os.getpid()
    holder = tempfile.TemporaryDirectory(prefix="kneighbors-serve-", ignore_cleanup_errors=True)
    try:
        yield Path(holder.name)
    finally:
        if os.getpid() == owner:  # not in a worker, which leaves this block as well
            holder.cleanup()


def _unpacked_once(archive: Path, room: Path) -> Path:
    import fcntl

    from kneighbors.artifact import unpack

    target = room / "artifact"
    with (room / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            unpack(archive, target)
    return target
