"""How a new artifact comes to its path: beside it or in place, and with whose leave."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kneighbors.artifact.inplace import InPlaceStage
from kneighbors.artifact.occupancy import Kind, look
from kneighbors.artifact.staging import CannotRename, SiblingStage, Stage, sweep
from kneighbors.errors import ParameterRefused
from kneighbors.storage import translated

#: Why nothing can be made beside a directory that may itself be writeable.
_PARENT_REFUSES = {errno.EACCES, errno.EPERM, errno.EROFS}


def resolved(path: str | os.PathLike[str]) -> Path:
    """Return a path as absolute, with links followed: a linked artifact is replaced where it is.

    Raises
    ------
    ParameterRefused
        ``artifact-path`` when it can be no path, or is a root.
    StorageError
        When it leads in a circle.
    """
    try:
        text = os.fspath(path)
        if not text or not isinstance(text, str) or "\0" in text:
            raise TypeError
    except TypeError:
        raise ParameterRefused("artifact-path", f"Expected a path, got {path!r:.100}.") from None
    with translated(text):
        result = Path(os.path.realpath(text))
    if not result.name:
        raise ParameterRefused("artifact-path", "Expected a path below the root, got the root.")
    return result


def publish(target: Path, overwrite: bool, write: Callable[[Stage], bytes]) -> None:
    """Make an artifact at a path: there whole, or not at all.

    Parameters
    ----------
    target : Path
        As `resolved` returned it.
    overwrite : bool
        Whether an artifact that is there may be replaced.
    write : callable
        Writes the parts into a stage and returns the text of the manifest. May be called again
        with another stage, when only the end shows that the first cannot be renamed.

    Raises
    ------
    StorageError
        ``artifact-exists``, ``storage-exists``, or what the system refused; nothing is left behind.
    """
    with translated(target):
        occupied = look(target)
        occupied.refuse(target, overwrite)
        # Leftovers may hold the space that is about to be needed.
        sweep(target)
        if occupied.kind is Kind.NOTHING and look(target).kind is not Kind.NOTHING:
            occupied = look(target)
            occupied.refuse(target, overwrite)
        if not (occupied.kind is Kind.VACANT or occupied.company or is_mount(target)):
            try:
                with _sibling(target, overwrite, occupied.kind) as stage:
                    stage.commit(write(stage))
                return
            except CannotRename:
                pass
        with InPlaceStage(target, overwrite) as place:
            place.commit(write(place))


def _sibling(target: Path, overwrite: bool, kind: Kind) -> SiblingStage:
    try:
        return SiblingStage(target, overwrite)
    except OSError as error:
        if kind is not Kind.NOTHING and error.errno in _PARENT_REFUSES:
            raise CannotRename from error
        raise


def is_mount(path: Path) -> bool:
    """Tell whether something is mounted at a path, a directory of the same file system too.

    Examples
    --------
    >>> is_mount(Path("/"))
    True
    """
    if os.path.ismount(path):
        return True
    with suppress(OSError), Path("/proc/self/mountinfo").open("rb") as table:
        # Blanks, tabs, line breaks and backslashes are written as octal numbers there.
        wanted = b"".join(
            b"\\%03o" % byte if byte in b" \t\n\\" else bytes([byte]) for byte in os.fsencode(path)
        )
        return any(line.split(b" ")[4] == wanted for line in table)
    return False
