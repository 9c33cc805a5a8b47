"""Opening what is served, so that the workers share one copy of it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kneighbors.errors import ArtifactError
from kneighbors.server.aside import in_child
from kneighbors.server.settings import Settings

if TYPE_CHECKING:
    from kneighbors.sagemaker.hosting import Hosted
    from kneighbors.server.following import Following
    from kneighbors.server.lifecycle import Opener


_GZIP = b"\x1f\x8b"
_CODE_VARIABLES = ("SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY")


def opener_of(
    settings: Settings,
    unpack_to: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    model: str | None = None,
) -> Opener:
    """Return the function that opens the model of the settings.

    Parameters
    ----------
    settings : Settings
    unpack_to : Path, optional
        Directory in which an archive is unpacked, or code is fetched to, once for all the
        processes that are given the same one.
    environ : mapping of str to str, optional
        A container's variables: then code that comes with the model is run.
    model : str, optional
        In place of that of the settings.
    """
    if model is None and is_place(settings):
        return _following(settings, unpack_to)

    def open_model() -> Hosted:
        path = Path(model or settings.model)
        default = settings.n_neighbors or None
        if environ is not None:
            from kneighbors.sagemaker.hosting import open_hosted

            # The model's directory is not to be written to, and its code lies there.
            sys.dont_write_bytecode = True
            return open_hosted(
                path,
                environ,
                limits=settings.limits,
                default_n_neighbors=default,
                room=unpack_to,
                require_signature=settings.require_signature or None,
            )
        if unpack_to is not None and not path.is_dir():
            path = _unpacked_once(path, unpack_to, settings.require_signature or None)
        return _opened(path, settings)

    return open_model


def _opened(path: Path, settings: Settings) -> Hosted:
    from kneighbors.sagemaker.model import Model

    if settings.cluster:
        from kneighbors.cluster import open_on_cluster

        return Model.of_artifact(
            open_on_cluster(
                path,
                settings.cluster,
                replicas=settings.replicas,
                rebalance_s=settings.rebalance_seconds,
            ),
            limits=settings.limits,
            default_n_neighbors=settings.n_neighbors or None,
        )
    return Model.open(
        path,
        limits=settings.limits,
        default_n_neighbors=settings.n_neighbors or None,
        require_signature=settings.require_signature or None,
    )


def _following(settings: Settings, room: Path | None) -> Following:
    from kneighbors.server.following import Following

    return Following(
        settings.model,
        room or Path(tempfile.mkdtemp(prefix="kneighbors-serve-")),
        lambda path: _opened(path, settings),
        settings.follow_seconds,
        settings.cache_dir,
        vectors=not settings.cluster,
    )


def is_place(settings: Settings) -> bool:
    """Tell whether what is served is a place, whose pointer is to be followed.

    What is on S3 can be nothing else. Of a directory one file is looked for.
    """
    if settings.multi_model == "true":
        return False
    return settings.model.startswith("s3://") or Path(settings.model, "CURRENT").is_file()


def check_model(settings: Settings, environ: Mapping[str, str] | None = None) -> None:
    """Refuse at once what cannot be served; cheap, the parts are not read.

    Raises
    ------
    StorageError, ArtifactError
        As `kneighbors.artifact.open_artifact` raises them.
    """
    if is_place(settings):
        _check_place(settings)
        return
    from kneighbors.artifact.directory import Directory
    from kneighbors.artifact.keys import trusted
    from kneighbors.artifact.opened import Opened
    from kneighbors.artifact.publishing import resolved
    from kneighbors.shards.opening import is_sharded, read_manifest
    from kneighbors.storage import translated

    path = resolved(settings.model)
    keys = trusted(settings.require_signature or None)
    if settings.multi_model == "true" and environ is not None and not path.exists():
        # The platform makes it for the first model that it brings.
        return
    if settings.multi_model == "true" or has_code(settings, environ):
        with translated(path), os.scandir(path):
            return
    if is_sharded(path):
        read_manifest(path)
        return
    if path.is_dir():
        Opened(Directory(path), keys)
        return
    with translated(path), path.open("rb") as file:
        begins = file.read(len(_GZIP))
    if begins != _GZIP:
        raise ArtifactError(
            "artifact-unknown",
            "Expected an artifact, a directory or a .tar.gz, got a file that is neither.",
            where=str(path),
        )


def _check_place(settings: Settings) -> None:
    """Refuse a place that cannot be read, or whose pointer is no good."""
    from kneighbors.artifact.keys import trusted

    trusted(settings.require_signature or None)
    if settings.model.startswith("s3://"):
        # The library for S3 has threads, and a process that is to fork must have none.
        in_child(lambda: _read_pointer(settings.model))
    else:
        _read_pointer(settings.model)


def _read_pointer(place: str) -> None:
    from kneighbors.generations import current

    current(place)


def has_code(settings: Settings, environ: Mapping[str, str] | None) -> bool:
    """Tell whether a container may have a script to run, and so need no artifact."""
    if environ is None:
        return False
    named = any(environ.get(variable, "").strip() for variable in _CODE_VARIABLES)
    return named or (Path(settings.model) / "code").is_dir()


@contextmanager
def room_for(settings: Settings, environ: Mapping[str, str] | None = None) -> Iterator[Path | None]:
    """Provide the directory in which an archive is unpacked, and remove it in the end.

    It is also for what else the workers share in files: code that was fetched, and which of
    several models are loaded.
    """
    is_many = settings.multi_model == "true" or is_place(settings)
    if Path(settings.model).is_dir() and not is_many and not has_code(settings, environ):
        yield None
        return
    owner = os.getpid()
    holder = tempfile.TemporaryDirectory(prefix="kneighbors-serve-", ignore_cleanup_errors=True)
    try:
        yield Path(holder.name)
    finally:
        if os.getpid() == owner:  # not in a worker, which leaves this block as well
            holder.cleanup()


def _unpacked_once(archive: Path, room: Path, require_signature: str | None) -> Path:
    import fcntl

    from kneighbors.artifact import unpack

    target = room / "artifact"
    with (room / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            unpack(archive, target, require_signature=require_signature)
    return target
