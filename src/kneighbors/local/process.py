"""A plane in the background: started, asked and ended from another process."""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kneighbors.errors import LocalError
from kneighbors.local.root import Settings, not_writable, running

_START_S = 60.0
_END_S = 60.0
_POLL_S = 0.02
_LOG_BYTES = 16 << 20
#: With less room a plane cannot even say that there is none.
_ROOM_BYTES = 1 << 20
_SAID = re.compile(r"^error: \[([a-z0-9-]+)\] (.*)$", re.M)


def start_plane(root: Path, port: int | None = None, images: Sequence[str] = ()) -> Settings:
    """Start a plane in the background, and return how to reach it once it answers.

    Parameters
    ----------
    root : Path
    port : int, optional
        By default the one that the root had before, or a free one.
    images : sequence of str
        ``PATTERN=COMMAND`` each.

    Raises
    ------
    LocalError
        What the plane refused to start for, or ``local-start-failed``.
    """
    # Names of files are UTF-8, whatever the locale of whoever starts it.
    command = [sys.executable, "-X", "utf8", "-m", "kneighbors.local", "--root", str(root)]
    if port is not None:
        command += ["--port", str(port)]
    for image in images:
        command += ["--image", image]
    log = root / "plane.log"
    _turn_over(log)
    begun = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        return _answering(process, root, log, begun)
    except BaseException:  # of an interrupt too: nobody would know of a plane that came up later
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def end_plane(root: Path) -> Settings | None:
    """End the plane of a root, its jobs and endpoints, and return what it was; None if none is up.

    Raises
    ------
    LocalError
        With code ``local-not-ended``.
    """
    settings = running(root)
    if settings is None:
        return None
    os.kill(settings.pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_S
    while (now := running(root)) is not None and now.pid == settings.pid:
        if time.monotonic() > deadline:
            raise LocalError(
                "local-not-ended",
                f"Expected process {settings.pid} to end within {_END_S:.0f} s, but it goes on.",
                where=str(root / "plane.log"),
                hint=f"End it with: kill -9 {settings.pid}",
            )
        time.sleep(_POLL_S)
    with suppress(ChildProcessError):  # where this process started it
        os.waitpid(settings.pid, 0)
    return settings


def is_healthy(settings: Settings) -> bool:
    """Tell whether a plane answers."""
    try:
        return bool(_get(settings, "health") == {"status": "ok"})
    except (OSError, http.client.HTTPException, ValueError):
        return False


def plane_status(settings: Settings) -> dict[str, Any]:
    """Return what a plane holds.

    Raises
    ------
    LocalError
        With code ``local-not-answering``.
    """
    try:
        status: dict[str, Any] = _get(settings, "status")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise LocalError(
            "local-not-answering",
            f"Expected an answer of the control plane, process {settings.pid}, got: {error}.",
            where=settings.url,
        ) from error
    return status


def _answering(process: subprocess.Popen[bytes], root: Path, log: Path, begun: int) -> Settings:
    """Return how to reach a plane that was started just now, as soon as it answers."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _refusal(log, begun)
        settings = running(root)
        if settings is not None and settings.pid == process.pid and is_healthy(settings):
            process.returncode = 0  # Popen would complain of a process that outlives it
            return settings
        time.sleep(_POLL_S)
    raise LocalError(
        "local-start-failed",
        f"Expected a control plane that answers within {_START_S:.0f} s.",
        where=str(log),
    )


def _get(settings: Settings, name: str) -> Any:
    # Not urllib: it would ask a proxy for this machine.
    connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=10)
    try:
        connection.request("GET", f"/_kneighbors/{name}")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def _refusal(log: Path, begun: int) -> LocalError:
    with log.open("rb") as file:
        file.seek(begun)
        said = file.read().decode("utf-8", "replace")
    found = _SAID.findall(said)
    if found:
        code, message = found[-1]
        return LocalError(code, message)
    last = said.strip().rpartition("\n")[2]
    if not last and shutil.disk_usage(log.parent).free < _ROOM_BYTES:
        return not_writable(log.parent, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    return LocalError(
        "local-start-failed",
        f"Expected a control plane that starts, but it ended and said: {last or 'nothing'}",
        where=str(log),
    )


def _turn_over(log: Path) -> None:
    """Begin the log anew, with the one before beside it, where it has become long."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
