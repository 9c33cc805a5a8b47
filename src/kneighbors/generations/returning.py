"""Moving the pointer back, or to any generation that is there."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from kneighbors.errors import ArtifactError, StorageError
from kneighbors.generations.finding import open_place
from kneighbors.generations.generation import Generation, check_id, number_of
from kneighbors.generations.place import Place
from kneighbors.generations.pointer import Pointer
from kneighbors.search.progress import Progress, ignore

#: Who removes a generation that the pointer turns to at that moment puts it back within this time.
_PATIENCE_S = 2.0
_POLL_S = 0.02


def rollback(
    place: str | os.PathLike[str],
    to: str | None = None,
    *,
    progress: Progress | None = None,
) -> Generation:
    """Point at the generation before the current one, or at a named one.

    Parameters
    ----------
    place : str or path
        A directory or ``s3://bucket/prefix``.
    to : str, optional
        Name of a generation, an earlier or a later one.
    progress : callable, optional
        Called as ``progress("verifying", done, total)`` in bytes.

    Returns
    -------
    Generation
        The one that counts now.

    Raises
    ------
    ArtifactError
        ``generation-missing`` if there is none to go back to; whatever is wrong with it, if it is
        damaged: every byte of it is read first. ``pointer-invalid`` if nothing says what came
        before; name a generation then.
    StorageError
        ``storage-changed`` if somebody else has moved the pointer meanwhile; ``place-unknown``.
    ParameterRefused
        With code ``generation-id``.
    """
    target = open_place(place)
    data, tag = target.read()
    generation = _previous(target, data) if to is None else check_id(to)
    top = target.top_of(generation)
    target.check(generation, progress or ignore)
    wanted = Pointer.to(generation, top.sha256)
    if not _is_there(target, data, wanted):
        new_tag = target.move(wanted, tag)
        _check_still_there(target, generation, data, new_tag)
    return target.known(generation, is_current=True)


def _previous(place: Place, data: bytes | None) -> str:
    current = place.parsed(data).generation
    older = [one for one in place.ids() if number_of(one) < number_of(current)]
    if not older:
        raise ArtifactError(
            "generation-missing",
            f"Expected a generation before {current}, found none.",
            where=place.address.shown,
        )
    return older[-1]


def _is_there(place: Place, data: bytes | None, wanted: Pointer) -> bool:
    if data is None:
        return False
    try:
        now = place.parsed(data)
    except ArtifactError as error:
        if error.code != "pointer-invalid":
            raise
        return False
    return (now.generation, now.manifest_sha256) == (wanted.generation, wanted.manifest_sha256)


def _check_still_there(place: Place, generation: str, before: bytes | None, tag: str) -> None:
    """Take the pointer back if the generation was removed just before it came to it."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            place.top_of(generation)
        except ArtifactError:
            if time.monotonic() > give_up:
                break
            time.sleep(_POLL_S)
        else:
            return
    if before is not None:
        with suppress(StorageError):  # somebody else has moved it on, which is as well
            place.store.put_if(place.pointer_address, before, tag)
    raise place.missing(generation)
