"""The server's log on stderr: one line an event, of bounded length, with nothing raw in it."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import kneighbors
from kneighbors.errors import KNeighborsError, ScriptError

LOG = logging.getLogger("kneighbors.server")

#: Names whose records go to the same place.
_NAMES = ("kneighbors.server", "kneighbors.cluster", "uvicorn.error", "asyncio", "opentelemetry")

_LONGEST_VALUE = 200  # characters of a value that a client may have chosen
_LONGEST_TRACE = 8000
_LONGEST_REASON = 2000
_OURS = (str(Path(kneighbors.__file__).parent), "<frozen ")


class LineFormatter(logging.Formatter):
    """Writes a record as ``time level event name=value …``, or as one JSON object.

    Parameters
    ----------
    as_json : bool
        Which of the two.

    Notes
    -----
    The values come with the record as ``extra={"facts": {...}}``. Text is quoted as in JSON, in
    ASCII, so that a line feed in it cannot begin a line of its own.
    """

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts: dict[str, Any] = dict(getattr(record, "facts", {}))
        if record.exc_info:
            facts["trace"] = self.formatException(record.exc_info)[-_LONGEST_TRACE:]
        millis = int(record.msecs)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{millis:03d}Z"
        level = record.levelname.lower()
        event = record.getMessage()[:_LONGEST_TRACE]
        if self._as_json:
            line = {"time": at, "level": level, "event": event, "pid": record.process}
            return json.dumps(line | {name: _short(name, value) for name, value in facts.items()})
        pairs = [f"{name}={_plain(_short(name, value))}" for name, value in facts.items()]
        return " ".join([at, level, _one_line(event), f"pid={record.process}", *pairs])


def failure_facts(error: BaseException) -> dict[str, str]:
    """Return ``reason``, and ``trace`` where an error is a script's, or none that is expected."""
    if not isinstance(error, KNeighborsError):
        facts = {"reason": f"{type(error).__name__}: {error}"}
        trace = traceback.format_exception(error)
    else:
        facts = {"reason": f"[{error.code}] {error}"}
        trace = script_trace(error)
    facts["reason"] = facts["reason"][:_LONGEST_REASON]
    return facts | ({"trace": "".join(trace)[-_LONGEST_TRACE:]} if trace else {})


def script_trace(error: BaseException) -> list[str]:
    """Return the traceback of what a user's script raised, from the script on; else nothing."""
    cause = error.__cause__
    if not isinstance(error, ScriptError) or cause is None:
        return []
    trace: TracebackType | None = cause.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return traceback.format_exception(cause.with_traceback(trace))


def _short(name: str, value: Any) -> Any:
    if name != "trace" and isinstance(value, str) and len(value) > _LONGEST_VALUE:
        return value[:_LONGEST_VALUE] + "…"
    return value


def _plain(value: Any) -> str:
    if isinstance(value, str) and value.isascii() and value.isidentifier():
        return value
    return json.dumps(value)


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)


def set_up(level: str, form: str) -> None:
    """Send the server's records, and those of the libraries below it, to stderr.

    Parameters
    ----------
    level : str
        ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.
    form : str
        ``"text"`` or ``"json"``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(as_json=form == "json"))
    for name in _NAMES:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
    # What uvicorn tells at these levels, our own lines tell better.
    logging.getLogger("uvicorn.error").setLevel(max(logging.ERROR, LOG.level))
