"""A container without Docker: a process tree with an ``/opt/ml``, a Python and a log of its own."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kneighbors.local import keeper
from kneighbors.local.namespace import command_within, has_namespaces
from kneighbors.local.overlay import make_overlay, own_python, python_beside
from kneighbors.local.surroundings import container_environment, host_environment

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

#: In the environment of every process of a container, and of no other program, so that a left-over
#: one is recognised.
ROOT_MARK, OWN_MARK = "KNEIGHBORS_CONTAINER_OF_ROOT", "KNEIGHBORS_CONTAINER"
_LINE_BYTES = 256 << 10
_CHUNK_BYTES = 1 << 16
_DRAIN_S = 5.0
_KILL_S = 15.0
_KEEPER = [sys.executable, "-I", "-S", keeper.__file__]
#: A shell does not hand SIGTERM on to what it waits for.
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh"}
#: Exit code of what was killed, for want of memory or by somebody.
KILLED = 128 + signal.SIGKILL


class Lines(Protocol):
    """What takes a container's output, line by line; `kneighbors.local.logs.LogWriter` does."""

    def write_line(self, text: str, at_ms: int | None = None) -> None:
        """Take one line, without its end."""


class Container:
    """One instance: a command in a session of its own, with all that descends from it.

    Parameters
    ----------
    plane : Plane
    home : Path
        Its directory. ``opt/ml`` in it is its ``/opt/ml``, ``tmp`` its place for temporary files,
        ``root`` the home of its user, ``python`` its interpreter's environment.
    command : list of str
        Found on the container's PATH, where ``python`` and ``pip`` are its own.
    environment : mapping of str to str
        What the job or model sets; the plane's own variables win.
    log : Lines
        Gets stdout and stderr.
    name : str
        Of the instance, such as ``algo-1``.
    on_line : callable, optional
        Called with each line as well, in the thread that reads.
    hosts : sequence of str, optional
        Names that mean this machine, where the system allows that.
    python_of : str, optional
        Program of the virtual environment whose Python it gets, if it is one; by default that of
        the command, or else ours.

    Notes
    -----
    Nothing of it outlives it: `kneighbors.local.keeper` is its processes' reaper, and what gets
    away even so carries a mark in its environment, by which `sweep` finds it.
    """

    def __init__(
        self,
        plane: Plane,
        home: Path,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Lines,
        name: str,
        *,
        on_line: Callable[[str], None] | None = None,
        hosts: Sequence[str] = (),
        python_of: str | None = None,
    ) -> None:
        self.home = home.absolute()
        self.name = name
        self._plane = plane
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._on_line = on_line
        self._hosts = list(hosts)
        self._python_of = self._command[0] if python_of is None else python_of
        self._token = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._control = -1
        self._lock = threading.Lock()

    @property
    def base(self) -> Path:
        """What the container sees as ``/opt/ml``, on this machine."""
        return self.home / "opt" / "ml"

    @property
    def pid(self) -> int:
        """Id of the process that all others descend from."""
        return self._started().pid

    def start(self) -> None:
        """Make what is missing of its directories and run the command."""
        for folder in (self.base / "model", self.home / "tmp", self.home / "root"):
            folder.mkdir(parents=True, exist_ok=True)
        environment = self._variables()
        whom = "group" if Path(self._command[0]).name in _SHELLS else "one"
        reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [*_KEEPER, str(reading), whom, *self._wrapped()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.base,
                env=environment,
                pass_fds=[reading],
                start_new_session=True,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        self._control = writing
        self._reader = threading.Thread(target=self._read, name=f"log of {self.name}", daemon=True)
        self._reader.start()

    def poll(self) -> int | None:
        """Return the exit code; None while it runs. 137 is a process that was killed."""
        code = self._started().poll()
        return None if code is None else self._ended(code)

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code as soon as there is one; None after so many seconds."""
        try:
            return self._ended(self._started().wait(timeout))
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_s: float) -> int:
        """Ask the command to end by SIGTERM, and after `grace_s` seconds end all of it.

        Returns
        -------
        int
            The exit code.
        """
        if self._process is None:
            return KILLED
        if grace_s > 0:
            self._order(b"T")
        code = self.wait(grace_s)
        if code is None:
            self._order(b"K")
            code = self.wait(_KILL_S)
        if code is None:  # the keeper itself is stopped or stuck
            self._process.kill()
            code = self.wait(_KILL_S)
        return KILLED if code is None else code

    def _order(self, order: bytes) -> None:
        with self._lock, suppress(OSError):
            if self._control >= 0:
                os.write(self._control, order)

    def _ended(self, code: int) -> int:
        """Close what is open, end what got away, and return the exit code as Docker has it."""
        with self._lock:
            if self._control >= 0:
                os.close(self._control)
                self._control = -1
                sweep(OWN_MARK, self._token)
        self._reader.join(_DRAIN_S)
        return 128 - code if code < 0 else code

    def _wrapped(self) -> list[str]:
        if not has_namespaces():
            return self._command
        hosts = None
        if self._hosts:
            hosts = self.home / "hosts"
            known = Path("/etc/hosts").read_text() if Path("/etc/hosts").exists() else ""
            hosts.write_text(f"127.0.0.1 {' '.join(self._hosts)}\n{known}")
        hostname = self.name if self.name in self._hosts else ""
        return command_within(self.base, hosts, hostname, self._command)

    def _variables(self) -> dict[str, str]:
        beside = python_beside(self._python_of)
        binaries = [str(make_overlay(self.home / "python", beside or own_python()))]
        if beside is not None:
            binaries.append(str(Path(self._python_of).parent))
        ours = container_environment(self._plane, self.home)
        marks = {ROOT_MARK: str(self._plane.root.absolute()), OWN_MARK: self._token}
        host = host_environment(os.environ)
        path = os.pathsep.join([*binaries, host.get("PATH", os.defpath)])
        return host | self._environment | ours | marks | {"PATH": path}

    def _read(self) -> None:
        stream = self._started().stdout
        if stream is None:
            return
        with stream:
            for line in _lines_of(stream.fileno()):
                text = line.decode(errors="replace").rstrip("\r")
                self._log.write_line(text)
                if self._on_line is not None:
                    self._on_line(text)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("start() comes first")
        return self._process


def sweep(mark: str, value: str) -> int:
    """End all processes that carry a mark in their environment; return how many there were.

    Notes
    -----
    Only where there is ``/proc``. Processes start others while they are being ended, so it looks
    again until it finds none.
    """
    wanted = f"{mark}={value}".encode()
    ended: set[int] = set()
    deadline = time.monotonic() + _KILL_S
    while time.monotonic() < deadline:
        found = [pid for pid, entries in _environments() if wanted in entries]
        if not found:
            break
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended.update(found)
        time.sleep(0.01)
    return len(ended)


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    proc = Path("/proc")
    for entry in proc.iterdir() if proc.is_dir() else ():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                yield int(entry.name), (entry / "environ").read_bytes().split(b"\0")
            except OSError:  # ended meanwhile, or another user's
                continue


def _lines_of(descriptor: int) -> Iterator[bytes]:
    """Yield lines; what is longer than a log event may be comes in pieces."""
    kept = b""
    while True:
        try:
            chunk = os.read(descriptor, _CHUNK_BYTES)
        except OSError:
            chunk = b""
        if not chunk:
            break
        *lines, kept = (kept + chunk).split(b"\n")
        yield from lines
        if len(kept) > _LINE_BYTES:
            yield kept
            kept = b""
    if kept:
        yield kept
