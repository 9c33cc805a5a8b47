"""What the operating system refuses, in our words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kneighbors.errors import KNeighborsError, StorageError
from kneighbors.storage.address import Address, shown


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    message: str
    hint: str | None = None


_MISSING = _Refusal("storage-missing", "Expected a file or a directory, found nothing.")
_FORBIDDEN = _Refusal(
    "storage-forbidden", "The permissions forbid it.", "Check who owns it, and the modes above it."
)
_FULL = _Refusal("storage-full", "There is no room left.", "Free some, or write elsewhere.")
_EXISTS = _Refusal("storage-exists", "Something is there already.")
_NOT_A_FILE = _Refusal("storage-not-a-file", "Expected a file, got something else.")
_NOT_A_DIRECTORY = _Refusal("storage-not-a-directory", "Expected a directory, got a file.")
_REFUSALS = {
    errno.ENOENT: _MISSING,
    errno.ELOOP: _Refusal("storage-missing", "Expected a file, got links that lead in a circle."),
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _Refusal("storage-read-only", "The file system is read-only."),
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _Refusal("storage-full", "The file grew beyond what is allowed here."),
    errno.EEXIST: _EXISTS,
    errno.ENOTEMPTY: _EXISTS,
    errno.EISDIR: _NOT_A_FILE,
    errno.ENXIO: _NOT_A_FILE,
    errno.ENOTDIR: _NOT_A_DIRECTORY,
    errno.ENAMETOOLONG: _Refusal("storage-address", "Expected a shorter name."),
}


def storage_error(error: OSError, address: Address | str | os.PathLike[str]) -> StorageError:
    """Return what an `OSError` means for an address.

    Parameters
    ----------
    error : OSError
        What the system raised.
    address : Address, str or path
        What was being read or written.

    Returns
    -------
    StorageError
        With code ``storage-missing``, ``storage-forbidden``, ``storage-read-only``,
        ``storage-full``, ``storage-exists``, ``storage-not-a-file``, ``storage-not-a-directory``,
        ``storage-address`` or, for the rest, ``storage-failed``. Its ``errno`` is the system's.

    Examples
    --------
    >>> print(storage_error(FileNotFoundError(2, "No such file"), "wines.npy"))
    Expected a file or a directory, found nothing. At wines.npy.
    """
    number = error.errno or 0
    reason = os.strerror(number) if number else type(error).__name__
    refusal = _REFUSALS.get(number) or _Refusal("storage-failed", f"The system says: {reason}.")
    result = StorageError(
        refusal.code, refusal.message, where=shown(str(address)), hint=refusal.hint
    )
    result.errno = number or None
    return result


@contextmanager
def translated(address: Address | str | os.PathLike[str]) -> Iterator[None]:
    """Turn every `OSError` of a block into a `StorageError` that names `address`.

    Errors of this package pass as they are.

    Raises
    ------
    StorageError
        See `storage_error`.
    """
    try:
        yield
    except KNeighborsError:
        raise
    except OSError as error:
        raise storage_error(error, address) from error
