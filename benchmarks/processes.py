"""Servers as processes: started until they answer, weighed, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE_S = 120.0
_PING = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Served:
    """A server that answers.

    Attributes
    ----------
    port, pid : int
    start_s : float
        Seconds from the command to the first healthy ping.
    """

    port: int
    pid: int
    start_s: float


@contextmanager
def served(
    command: Sequence[str],
    port: int,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Run a server until the block ends."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), **(variables or {})}
    # The server shares the cores out; what is pinned here is for the engines.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if not variables or name not in variables:
            environment.pop(name, None)
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=HERE)
    try:
        while status_of(port, _PING) != 200:
            if process.poll() is not None or time.perf_counter() - begun > PATIENCE_S:
                raise RuntimeError(f"{' '.join(command)} did not start")
            time.sleep(0.002)
        yield Served(port, process.pid, time.perf_counter() - begun)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def kneighbors_command(model: Path, port: int, workers: int = 2) -> list[str]:
    """Return the command that serves an artifact."""
    program = Path(sys.executable).with_name("kneighbors")
    chosen = ("--port", str(port), "--workers", str(workers))
    return [str(program), "serve", str(model), *chosen]


def limited(command: Sequence[str], mib: int) -> list[str]:
    """Return a command that runs another whose processes may each have so much private memory.

    That is RLIMIT_DATA: what is allocated, but not read-only maps of files, which the kernel drops
    from memory when something else needs the room. Beyond it, allocating fails.
    """
    return ["/bin/sh", "-c", 'ulimit -d "$1"; shift; exec "$@"', "sh", str(mib << 10), *command]


def constant_command(port: int, workers: int = 2) -> list[str]:
    """Return the command that serves a constant by the same server."""
    return [sys.executable, "-c", f"import constant_app; constant_app.main({port}, {workers})"]


def status_of(port: int, request: bytes) -> int | None:
    """Send raw bytes; return the status, or None where no answer comes."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
            with contextlib.suppress(OSError):
                s.sendall(request)
            line = s.recv(4096).split(b"\r\n")[0].split(b" ")
    except OSError:
        return None
    return int(line[1]) if len(line) > 1 and line[1].isdigit() else None


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def pss_mib(pid: int) -> float:
    """Sum the proportional set sizes of a process and its descendants: shared pages count once."""
    return _sum(pid, "Pss:")


def private_mib(pid: int) -> float:
    """Sum what is no page of a file: memory that cannot be had back by reading again."""
    return _sum(pid, "Pss_Anon:") + _sum(pid, "Pss_Shmem:")


def _sum(pid: int, field: str) -> float:
    total = 0
    for member in tree(pid):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            if line.startswith(field):
                total += int(line.split()[1])
    return total / 1024
