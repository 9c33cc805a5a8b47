"""Opening what a path means: an artifact, or the current generation of a place."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from kneighbors.errors import ClusterError, KNeighborsError
from kneighbors.generations.detection import is_place

if TYPE_CHECKING:
    from kneighbors.artifact import Artifact
    from kneighbors.neighbors import NearestNeighbors

T = TypeVar("T")
AnyPath = str | os.PathLike[str]

#: How often the pointer may move on while what it named is being opened.
_ATTEMPTS = 20


def opened(
    path: AnyPath,
    opener: Callable[[AnyPath], T],
    cache_dir: AnyPath | None = None,
    *,
    vectors: bool = True,
) -> T:
    """Return what a function opens: an artifact, or the current generation of a place.

    Parameters
    ----------
    path : str or path
        An artifact, a place, or ``s3://bucket/prefix``, which is a place.
    opener : callable
        Given the path of an artifact. Called again if the generation that it was given is removed
        while it works because a newer one counts.
    cache_dir : str or path, optional
        As of `kneighbors.generations.Follower`.
    vectors : bool, default=True
        As of `kneighbors.generations.Follower`.

    Raises
    ------
    KNeighborsError
        Whatever keeps the place from being read, or the artifact from being opened.
    """
    if not (os.fspath(path).startswith("s3://") or is_place(path)):
        return opener(path)
    from kneighbors.generations.finding import open_place
    from kneighbors.generations.follower import Follower

    follower = Follower(path, cache_dir, vectors=vectors)
    error: KNeighborsError | None = None
    for _ in range(_ATTEMPTS):
        generation = follower.poll()
        if generation is None or generation.path is None:
            break
        try:
            return opener(generation.path)
        except ClusterError:
            raise
        except KNeighborsError as caught:
            error = caught
            follower.mend(generation)
    raise error or open_place(path).missing("that the pointer names")


def located(path: AnyPath, cache_dir: AnyPath | None = None) -> AnyPath:
    """Return the path of an artifact: the one given, or of a place's current generation."""
    return opened(path, lambda found: found, cache_dir)


def open_saved(path: AnyPath, *, cache_dir: AnyPath | None = None, **options: Any) -> Artifact:
    """Open an artifact, in one piece or in shards, or the current generation of a place.

    Parameters
    ----------
    path : str or path
        As of `load`.
    cache_dir : str or path, optional
        As of `kneighbors.generations.Follower`.
    options
        As of `kneighbors.shards.open_saved`.

    Raises
    ------
    ArtifactError, StorageError
        As `load`.
    """
    from kneighbors.shards import open_saved as open_found

    return opened(path, lambda found: open_found(found, **options), cache_dir)


def load(
    path: AnyPath, *, require_signature: AnyPath | None = None, mapped: bool | None = None
) -> NearestNeighbors:
    """Open an artifact, or the current generation of a place, as a fitted estimator.

    Parameters
    ----------
    path : str or path
        Directory or ``.tar.gz`` that `NearestNeighbors.save` or ``kneighbors train`` made; or a
        place, a directory or ``s3://bucket/prefix``, to which ``kneighbors publish`` published.
    require_signature : str or path, optional
        File of public keys, of which one must have signed it (``kneighbors sign``).
    mapped : bool, optional
        False copies what is mapped by default into memory, so that nothing which happens to the
        files changes an answer or ends the process; see `kneighbors.artifact.open_artifact`.

    Returns
    -------
    NearestNeighbors
        Fitted; its vectors stay on disk, and each is checked when first touched. It
        stays what it is when something newer is published.

    Raises
    ------
    ArtifactError
        Where anything is damaged, missing or of a newer format, or not signed by such a key.
    StorageError
        Where there is nothing at `path`, or it may not be read.
    """
    from kneighbors.neighbors import load as load_artifact

    def load_found(found: AnyPath) -> NearestNeighbors:
        return load_artifact(os.fspath(found), require_signature=require_signature, mapped=mapped)

    return opened(path, load_found)
