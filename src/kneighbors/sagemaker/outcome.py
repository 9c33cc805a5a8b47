"""How a job in a container ends: the files ``success`` and ``failure``, and why it failed."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from kneighbors.errors import KNeighborsError
from kneighbors.storage import Address
from kneighbors.storage.local import writing_whole

#: What SageMaker takes of the file ``failure`` into the reason of a job's failure.
FAILURE_CHARACTERS = 1024


class JobFailed(Exception):
    """A script failed, and has already said why; the message is for the file ``failure``."""


def reason_of(error: BaseException) -> str:
    r"""Return why a job failed: code, message and hint in one line.

    Examples
    --------
    >>> from kneighbors.errors import ParameterRefused
    >>> reason_of(ParameterRefused("metric-unknown", "Expected one of\n4."))
    '[metric-unknown] Expected one of 4.'
    """
    if isinstance(error, JobFailed):
        return str(error)
    if isinstance(error, KNeighborsError):
        code, text = error.code, str(error)
    elif isinstance(error, MemoryError):
        code, text = "memory-exhausted", "Expected enough memory, but an allocation failed."
    elif isinstance(error, OSError) and error.strerror:
        code, text = "system-error", f"The system refused: {error.strerror}."
        text += f" At {error.filename}." if error.filename else ""
    else:
        code, text = "internal", f"{type(error).__name__}: {error}."
    return f"[{code}] {' '.join(text.split())}"


def is_ours(error: BaseException) -> bool:
    """Tell whether an error is a fault of this program, whose traceback belongs into the log."""
    return not isinstance(error, KNeighborsError | JobFailed | MemoryError | OSError)


def traceback_of(error: BaseException) -> str:
    """Return a traceback as text."""
    return "".join(traceback.format_exception(error))


def write_failure(output_dir: Path, reason: str) -> None:
    """Write the file ``failure``, unless the script has written one.

    Parameters
    ----------
    output_dir : Path
        ``/opt/ml/output``; made if it does not exist.
    reason : str
        At most 1,024 characters of it are kept.
    """
    path = output_dir / "failure"
    if not path.exists():
        _write(path, reason[:FAILURE_CHARACTERS])


def write_success(output_dir: Path) -> None:
    """Write the file ``success``, which is empty."""
    _write(output_dir / "success", "")


def _write(path: Path, text: str) -> None:
    # A surrogate stands for a byte of a file's name that is no UTF-8.
    with writing_whole(Address.parse(os.fspath(path))) as file:
        file.write(text.encode("utf-8", "replace"))
