"""How a command ends: exit codes, and errors as one line of text or one JSON document."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from kneighbors.errors import KNeighborsError, ParameterRefused

EXIT_OK = 0
EXIT_FAULT = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
EXIT_TERMINATED = 143

_DEBUG = "KNEIGHBORS_DEBUG"


class Terminated(BaseException):
    """SIGTERM arrived; like KeyboardInterrupt, it passes every ``except Exception``."""


class Ended(Exception):
    """End the command with an exit code, without another word.

    Parameters
    ----------
    exit_code : int
        What the process returns.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def report(error: BaseException, *, as_json: bool) -> int:
    """Say what went wrong, and return the exit code.

    Parameters
    ----------
    error : BaseException
        What ended the command.
    as_json : bool
        Whether stdout gets ``{"error": {"code", "message", "where", "hint"}}`` in place of a line
        on stderr.

    Returns
    -------
    int
        2 for a wrong parameter, 1 for everything else.
    """
    if os.environ.get(_DEBUG) == "1":
        traceback.print_exception(error, file=sys.stderr)
    facts = describe(error)
    lines = getattr(error, "log_lines", ())
    if lines:
        sys.stderr.write("The containers' last lines:\n")
    for line in lines:
        sys.stderr.write(f"  {line}\n")
    if as_json:
        sys.stdout.write(json.dumps({"error": facts}) + "\n")
        sys.stdout.flush()
    else:
        sys.stderr.write(f"error: [{facts['code']}] {_sentence(facts)}\n")
    return EXIT_USAGE if isinstance(error, ParameterRefused) else EXIT_FAULT


def describe(error: BaseException) -> dict[str, Any]:
    """Return code, message, where and hint of any exception."""
    if isinstance(error, KNeighborsError):
        return {
            "code": error.code,
            "message": error.message,
            "where": error.where,
            "hint": error.hint,
        }
    if isinstance(error, MemoryError):
        text = str(error) or "an allocation failed"
        return _facts("memory-exhausted", f"Expected enough memory, but {text}.")
    if isinstance(error, OSError) and error.strerror:
        where = str(error.filename) if error.filename else None
        return _facts("system-error", f"The system refused: {error.strerror}.", where)
    hint = f"This is a fault of kneighbors. Set {_DEBUG}=1 to see where it comes from."
    return _facts("internal", f"{type(error).__name__}: {error}.", None, hint)


def _facts(
    code: str, message: str, where: str | None = None, hint: str | None = None
) -> dict[str, Any]:
    return {"code": code, "message": message, "where": where, "hint": hint}


def _sentence(facts: dict[str, Any]) -> str:
    text = str(facts["message"])
    if facts["where"] is not None:
        text += f" At {facts['where']}."
    if facts["hint"] is not None:
        text += f" {facts['hint']}"
    # Names of files may hold anything, ends of lines and commands to a terminal too.
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
