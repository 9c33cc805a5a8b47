"""Why a job failed, in the words that AWS has for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from kneighbors.local.containers import KILLED

#: What SageMaker reads of the failure file, and the longest FailureReason.
REASON_CHARACTERS = 1024
_LAST_LINES = 30
_OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of training "
    "data processed on an instance., exit code: 137"
)
_ERROR_LINE = re.compile(r"^(\w+\.)*\w*(Error|Exception|Exit|Interrupt|Warning)\b")

CLOSED = (
    "InternalServerError: The control plane was stopped while the job was running. Start the job "
    "again."
)
INTERRUPTED = (
    "InternalServerError: The control plane was interrupted while the job was running, and its "
    "processes have been ended. Start the job again."
)


class JobFailed(Exception):
    """A job that cannot go on; the message is its FailureReason."""


def exit_reason(code: int, failure: Path, last_lines: Sequence[str]) -> str:
    """Return why a container's ending was a failure.

    Parameters
    ----------
    code : int
        Its exit code.
    failure : Path
        The file in which it may have said why.
    last_lines : sequence of str
        Of its output, which serve where the file is silent.
    """
    said = _read(failure)
    if code == KILLED and not said:
        return _OUT_OF_MEMORY
    ending = f", exit code: {code}"
    beginning = "AlgorithmError: "
    room = REASON_CHARACTERS - len(beginning) - len(ending)
    if not said:
        return beginning + _end_of_traceback(last_lines)[-room:] + ending
    return beginning + said[:room] + ending


def short(reason: str) -> str:
    """Return a reason that is no longer than a FailureReason may be."""
    return reason if len(reason) <= REASON_CHARACTERS else reason[: REASON_CHARACTERS - 3] + "..."


def _read(failure: Path) -> str:
    try:
        if not failure.is_file():  # to open a pipe would wait for ever
            return ""
        with failure.open("rb") as file:
            return file.read(4 * REASON_CHARACTERS).decode(errors="replace").strip()
    except OSError:
        return ""


def _end_of_traceback(lines: Sequence[str]) -> str:
    """Return the last traceback of an output; where there is none, its last line."""
    kept = [line for line in lines[-_LAST_LINES:] if line.strip()]
    for place in range(len(kept) - 1, -1, -1):
        if kept[place].startswith("Traceback "):
            return "\n".join(kept[place:])
    errors = [line for line in kept if _ERROR_LINE.match(line)]
    return errors[-1] if errors else kept[-1] if kept else ""
