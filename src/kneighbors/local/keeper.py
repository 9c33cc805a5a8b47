"""The parent of a container's processes: whatever they do, none outlives it.

A program of its own, run as ``python -I -S keeper.py CONTROL WHOM COMMAND...`` with nothing but
the standard library. The command runs in a session of its own. On Linux the keeper is the reaper
of all that descends from it, daemons included, so that they can be found and ended. ``CONTROL`` is
a pipe's descriptor: ``T`` asks the command to end (where ``WHOM`` is ``one``) or its whole group
(``group``), ``K`` ends everything, and so does its other side's closing, which is what a control
plane that is killed leaves behind.

It ends with the command's exit code; with 128 and the signal's number where a signal ended it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.05
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    """Run the command, obey the control pipe, end what is left, return the exit code."""
    control, whom, command = int(arguments[0]), arguments[1], arguments[2:]
    os.set_inheritable(control, False)
    _adopt_orphans()
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)  # only the pipe says when to stop
    # A signal for the command that comes before its exec waits, and is not ignored.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    child = _start(command)
    for stream in (1, 2):
        # What reads the container's output must see its end although this process lives on.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    code = _watch(child, control, woken, whom == "group")
    _end_descendants(child)
    return code


def _start(command: list[str]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        for number in (*_STOPS, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them, and exec hands that on
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        os.write(2, f"Cannot run {command[0]!r}: {error.strerror}.\n".encode())
    finally:
        os._exit(127 if not os.path.exists(command[0]) else 126)  # noqa: PTH110


def _watch(child: int, control: int, woken: int, is_group: bool) -> int:
    """Wait until the command has ended; and, if it was asked to, those of its group too."""
    code: int | None = None
    is_stopping = False
    while True:
        ready, _, _ = select.select([control, woken], [], [], _POLL_S if is_stopping else None)
        if woken in ready:
            os.read(woken, 4096)
        found = _reap(child)
        code = found if code is None else code
        if code is not None and not (is_stopping and _has_group(child)):
            return code
        if control in ready:
            orders = os.read(control, 64)
            if not orders or b"K" in orders:
                return 128 + signal.SIGKILL if code is None else code
            is_stopping = True
            _ask_to_end(child, is_group)


def _ask_to_end(child: int, is_group: bool) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if is_group and os.getpgid(child) == child:
            os.killpg(child, signal.SIGTERM)
        else:  # which is no group yet just after its start
            os.kill(child, signal.SIGTERM)


def _reap(child: int) -> int | None:
    """Collect all that have ended; return the command's exit code if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            ended = os.waitstatus_to_exitcode(status)
            code = ended if ended >= 0 else 128 - ended


def _has_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _end_descendants(group: int) -> None:
    """Kill the command's group, then children until there are none: orphans become ours."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for pid in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _adopt_orphans() -> None:
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
