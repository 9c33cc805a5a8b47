"""Whether a path is a place; cheap, for it is asked of whatever is to be opened."""

from __future__ import annotations

import os

from kneighbors.storage import Address, open_store

POINTER = "CURRENT"


def is_place(path: str | os.PathLike[str]) -> bool:
    """Tell whether a directory, or a prefix of S3, has a pointer to a generation.

    Parameters
    ----------
    path : str or path
        A path or ``s3://bucket/prefix``.

    Raises
    ------
    StorageError
        If S3 cannot be asked. Of a path that cannot be looked at, the answer is no.

    Notes
    -----
    One ``lstat`` of a path, one request of S3. The pointer may be damaged.
    """
    if not os.fspath(path).startswith("s3://"):
        return os.path.lexists(os.path.join(path, POINTER))  # noqa: PTH118  a Path costs more
    address = Address.parse(path) / POINTER
    return open_store(address).exists(address)
