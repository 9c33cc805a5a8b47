"""What generations a place has."""

from __future__ import annotations

import os
from dataclasses import replace

from kneighbors.generations.finding import open_place
from kneighbors.generations.generation import Generation
from kneighbors.generations.place import in_order


def history(place: str | os.PathLike[str], *, verify: bool = False) -> list[Generation]:
    """Return all generations of a place, the oldest first.

    Parameters
    ----------
    place : str or path
        A directory or ``s3://bucket/prefix``.
    verify : bool, default=False
        Whether every byte is read; otherwise names, lengths and manifests are looked at.

    Returns
    -------
    list of Generation
        What is wrong with one is its `fault`. One that the pointer names is among them, whether
        or not it is there.

    Raises
    ------
    StorageError
        ``place-unknown`` if there is no place, or what keeps it from being looked at.
    ArtifactError
        ``pointer-invalid`` or ``pointer-newer``.
    """
    target = open_place(place)
    pointer = target.pointer()
    ids = target.ids()
    if pointer.generation not in ids:
        ids = in_order([*ids, pointer.generation])
    found = []
    for one in ids:
        is_current = one == pointer.generation
        known = target.described(one, is_current=is_current, verify=verify)
        if is_current and not known.fault and known.manifest_sha256 != pointer.manifest_sha256:
            known = replace(known, fault="the manifest is not the one that the pointer names")
        found.append(known)
    return found


def current(place: str | os.PathLike[str]) -> Generation:
    """Return the generation that counts.

    Raises
    ------
    StorageError, ArtifactError
        As of `history`. What is wrong with the generation itself is its `fault`.
    """
    target = open_place(place)
    return target.described(target.pointer().generation, is_current=True)
