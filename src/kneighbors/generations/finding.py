"""From a path to the place that it means."""

from __future__ import annotations

import os

from kneighbors.generations.local_place import LocalPlace
from kneighbors.generations.place import Place
from kneighbors.storage import Address


def open_place(path: str | os.PathLike[str] | Address) -> Place:
    """Return the place at a path or at ``s3://bucket/prefix``; nothing is looked at yet.

    Raises
    ------
    StorageError
        ``storage-address`` or ``storage-scheme``; for S3 also ``storage-settings``.
    MissingExtra
        For S3, if obstore is not installed.
    """
    address = Address.parse(path)
    if address.scheme == "s3":
        from kneighbors.generations.s3_place import S3Place

        key = address.key.rstrip("/")
        return S3Place(Address("s3", address.bucket, key + "/" if key else ""))
    return LocalPlace(Address("file", "", os.path.realpath(address.key) + "/"))
