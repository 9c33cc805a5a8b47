"""Publishing: a new generation, complete and checked, and then the pointer to it."""

from __future__ import annotations

import os

from kneighbors.errors import ArtifactError, KNeighborsError, ParameterRefused, StorageError
from kneighbors.generations.finding import open_place
from kneighbors.generations.generation import Generation, digest_of, make_id, number_of
from kneighbors.generations.loading import located
from kneighbors.generations.place import Place
from kneighbors.generations.pointer import Pointer
from kneighbors.generations.retention import GRACE_S, remove_old
from kneighbors.generations.source import Source, opened_source
from kneighbors.search.progress import Progress, ignore

#: How often another publisher may be faster before this one gives up.
_ATTEMPTS = 20


def publish(
    artifact: str | os.PathLike[str],
    place: str | os.PathLike[str],
    *,
    keep: int | None = None,
    grace_s: float = GRACE_S,
    progress: Progress | None = None,
) -> Generation:
    """Copy an artifact into a place, and point at it.

    The copy is complete, on the disk and compared with its checksums before the pointer moves, and
    the pointer moves in one step. Killed at any instant, the old or the new pointer is there, and
    whatever it points at is whole.

    Parameters
    ----------
    artifact : str or path
        A directory or a ``.tar.gz``; or a place, whose current generation is published.
    place : str or path
        A directory, which is made if there is none, or ``s3://bucket/prefix``.
    keep : int, optional
        Remove older generations but so many, the new one included. By default all stay.
    grace_s : float, default=60.0
        Seconds for which a generation is kept in any case: readers may still be opening it.
    progress : callable, optional
        Called as ``progress("copying", done, total)`` and so on, in bytes.

    Returns
    -------
    Generation
        The new one; or that which is there already, if this very artifact has been published last.

    Raises
    ------
    StorageError
        ``storage-changed`` if another publisher has pointed at a newer generation meanwhile: then
        this one is there as well, and the pointer is theirs. ``place-inside``,
        ``place-is-artifact`` or ``storage-exists`` for a place that cannot be one; and whatever
        the disk or S3 refuses.
    ArtifactError
        If the artifact is damaged, or what was read back of the copy differs.
    ParameterRefused
        With code ``keep-range``.

    Notes
    -----
    Everything is read once and written once, and what was written is read back: some 3 ms a
    megabyte on a disk; on S3, the artifact travels up once and down once. Files are copied, not
    linked: an artifact's files have one name each, so that nobody can change them by another.
    """
    if keep is not None and (type(keep) is not int or keep < 1):
        raise ParameterRefused(
            "keep-range", f"Expected keep to be a number from 1 on, got {keep!r:.100}."
        )
    progress = progress or ignore
    target = open_place(place)
    with opened_source(located(artifact), progress) as source:
        target.prepare(source.path)
        generation = _placed(target, source, progress)
        left = _pointed(target, generation, source.top.sha256)
    if keep is not None:
        remove_old(target, keep, grace_s, left)
    return target.known(generation, is_current=True)


def _placed(place: Place, source: Source, progress: Progress) -> str:
    """Return the name of a complete and checked generation that holds an artifact."""
    digest = source.top.manifest.digest
    for _ in range(_ATTEMPTS):
        known = _known(place, source)
        if known is not None:
            return known
        generation = make_id(place.next_number(), digest)
        try:
            place.add(generation, source, progress)
        except StorageError as error:
            # Somebody publishes the same artifact, and was faster.
            if error.code != "artifact-exists":
                raise
            continue
        try:
            place.check(generation, progress)
        except ArtifactError:
            place.remove(generation)
            raise
        return generation
    raise _changed(place, "others publish the same artifact again and again")


def _known(place: Place, source: Source) -> str | None:
    """Return the generation that a publisher of this artifact left who was killed too early.

    Or the current one, if it is the same; earlier ones stay what they are: a step to go back to.
    """
    digest = digest_of(make_id(0, source.top.manifest.digest))
    least = _current_number(place)
    for generation in reversed(place.ids()):
        if number_of(generation) < least or digest_of(generation) != digest:
            continue
        try:
            if place.top_of(generation).data == source.top.data:
                place.check(generation)
                return generation
        except KNeighborsError:
            continue
    return None


def _current_number(place: Place) -> int:
    before = _pointer_or_none(place, place.read()[0])
    return 0 if before is None else number_of(before.generation)


def _pointed(place: Place, generation: str, manifest_sha256: str) -> str | None:
    """Move the pointer; return the generation that it has left.

    Of two publishers, the one whose generation has the higher number has the last word.
    """
    wanted = Pointer.to(generation, manifest_sha256)
    for _ in range(_ATTEMPTS):
        data, tag = place.read()
        before = _pointer_or_none(place, data)
        if before is not None:
            if before.generation == generation and before.manifest_sha256 == manifest_sha256:
                return None
            if number_of(before.generation) >= number_of(generation):
                raise _changed(place, f"another one has published {before.generation} meanwhile")
        try:
            place.move(wanted, tag)
        except StorageError as error:
            if error.code != "storage-changed":
                raise
            continue
        return None if before is None else before.generation
    raise _changed(place, "others move the pointer again and again")


def _pointer_or_none(place: Place, data: bytes | None) -> Pointer | None:
    """Return the pointer; None if there is none, or a damaged one, which is to be replaced."""
    if data is None:
        return None
    try:
        return place.parsed(data)
    except ArtifactError as error:
        if error.code != "pointer-invalid":
            raise
        return None


def _changed(place: Place, why: str) -> StorageError:
    return StorageError(
        "storage-changed",
        f"Expected to be the last to publish, but {why}. The generation is complete, and the "
        "pointer is theirs.",
        where=place.address.shown,
        hint="Look at `kneighbors generations`, and point at yours with `kneighbors rollback --to` "
        "if it is to count.",
    )
