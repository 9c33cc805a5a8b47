"""A child whose calls of the system wait for an answer of ours, be they Python's or a library's.

Linux lets a process hand chosen calls to another one before the kernel carries them out (seccomp's
user notification). So a call can fail, be done by half, be put off, or be the last one of its
process, without a line of the program being changed.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: Numbers of calls on x86-64, and what their arguments are: p a path, d a directory's descriptor, f
#: a file's, . anything else.
CALLS = {
    "read": (0, "f"),
    "write": (1, "f"),
    "open": (2, "p"),
    "stat": (4, "p"),
    "fstat": (5, "f"),
    "lstat": (6, "p"),
    "mmap": (9, "....f"),
    "pread64": (17, "f"),
    "pwrite64": (18, "f"),
    "readv": (19, "f"),
    "writev": (20, "f"),
    "sendfile": (40, "f"),
    "flock": (73, "f"),
    "fsync": (74, "f"),
    "fdatasync": (75, "f"),
    "truncate": (76, "p"),
    "ftruncate": (77, "f"),
    "rename": (82, "pp"),
    "mkdir": (83, "p"),
    "rmdir": (84, "p"),
    "link": (86, "pp"),
    "unlink": (87, "p"),
    "readlink": (89, "p"),
    "chmod": (90, "p"),
    "fchmod": (91, "f"),
    "statfs": (137, "p"),
    "getdents64": (217, "f"),
    "openat": (257, "dp"),
    "mkdirat": (258, "dp"),
    "newfstatat": (262, "dp"),
    "unlinkat": (263, "dp"),
    "renameat": (264, "dpdp"),
    "linkat": (265, "dpdp"),
    "fallocate": (285, "f"),
    "renameat2": (316, "dpdp"),
    "copy_file_range": (326, "f.f"),
    "statx": (332, "dp"),
    # The same call as above, but only where it may make a file.
    "create": (257, "dp"),
}

_AT_FDCWD = -100
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_GO_ON = 1
_PIDFD_GETFD = 438
_SET_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER, _NEW_LISTENER = 38, 317, 1, 8
#: Instructions of the filter, which the kernel runs.
_LOAD, _IS, _HAS, _RETURN = 0x20, 0x15, 0x45, 0x06
_FLAGS_OF_OPENAT, _NO_CALL = 32, 0xFFFFFFFF
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000


@dataclass
class Notice:
    """A call that waits for its answer.

    Attributes
    ----------
    name : str
    arguments : tuple of int
    paths : tuple of str
        What it is about, absolute.
    pid : int
        Of the thread that made it.
    """

    identity: int
    pid: int
    name: str
    arguments: tuple[int, ...]
    paths: tuple[str, ...] = ()

    def memory(self, address: int, length: int) -> bytes:
        """Return bytes of the process's memory."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
            memory.seek(address)
            return memory.read(length)

    @contextmanager
    def descriptor(self, number: int) -> Iterator[int]:
        """Give a descriptor of our own for what the process has open, its position included."""
        process = os.pidfd_open(_leader(self.pid))
        try:
            own = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, number, 0)
            if own < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(process)
        try:
            yield own
        finally:
            os.close(own)

    def put(self, address: int, data: bytes) -> None:
        """Write bytes into the process's memory."""
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:  # noqa: PTH123
            memory.seek(address)
            memory.write(data)


#: Carry it out; or answer in the kernel's place: a value, or the negative number of an error.
Answer = int | None


def forked() -> int:
    """Fork, beside the threads of libraries that know what to do then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def supervised(
    names: frozenset[str], action: Callable[[], int], answer: Callable[[Notice], Answer]
) -> int:
    """Run something in a forked child, and answer its calls.

    Parameters
    ----------
    names : frozenset of str
        The calls to be asked about, of `CALLS`.
    action : callable
        Run in the child; returns its exit code.
    answer : callable
        Called for each call, in the parent.

    Returns
    -------
    int
        Exit code of the child, below zero for a signal.
    """
    ours, theirs = socket.socketpair()
    pid = forked()
    if pid == 0:
        code = 70
        try:
            ours.close()
            listener = _listen(names)
            socket.send_fds(theirs, [b"x"], [listener])
            os.close(listener)
            theirs.close()
            code = action()
        finally:
            os._exit(code)
    theirs.close()
    with ours:
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    if not descriptors:
        os.waitpid(pid, 0)
        raise OSError(errno.ENOSYS, "no call can be watched here")
    process = os.pidfd_open(pid)
    try:
        _answer_all(descriptors[0], process, {CALLS[name][0]: name for name in names}, answer)
    finally:
        os.close(process)
        os.close(descriptors[0])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@cache
def why_not() -> str | None:
    """Tell why nothing can be watched on this machine; None if it can."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "calls of the system are watched on Linux for x86-64 alone"
    try:
        code = supervised(frozenset({"rmdir"}), _try_out, lambda notice: -errno.EXDEV)
    except OSError as error:
        return f"the system does not let its calls be watched: {error}"
    return None if code == 0 else "the system does not answer as it was told to"


def _try_out() -> int:
    try:
        os.rmdir("/nonexistent")  # noqa: PTH106
    except OSError as error:
        return 0 if error.errno == errno.EXDEV else 1
    return 1


def _listen(names: frozenset[str]) -> int:
    """Hand calls of this thread, and of those that it starts, to whoever reads the descriptor."""
    numbers = [CALLS[name][0] for name in names - {"create"}]
    lines = [(_LOAD, 0, 0, 0)]  # the number of the call
    lines += [(_IS, len(numbers) - place + 4, 0, number) for place, number in enumerate(numbers)]
    lines += [(_IS, 0, 3, CALLS["create"][0] if "create" in names else _NO_CALL)]
    lines += [(_LOAD, 0, 0, _FLAGS_OF_OPENAT), (_HAS, 2, 0, os.O_CREAT)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    header = struct.pack("@HxxxxxxQ", len(lines), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    number: int = libc.syscall(
        _SECCOMP, _FILTER, _NEW_LISTENER, ctypes.create_string_buffer(header, len(header))
    )
    if number < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return number


def _answer_all(
    listener: int, process: int, known: dict[int, str], answer: Callable[[Notice], Answer]
) -> None:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    # That nobody can ask any more is not always said by the listener itself.
    poll.register(process, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if ready.get(listener, 0) & select.POLLIN:
            _answer_one(listener, known, answer)
        elif ready:
            return


def _answer_one(listener: int, known: dict[int, str], answer: Callable[[Notice], Answer]) -> None:
    buffer = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.EINTR}:
            return  # it was killed meanwhile
        raise
    identity, pid, _, number, _, _, *arguments = _NOTIFICATION.unpack(bytes(buffer))
    notice = Notice(identity, pid, known[number], tuple(arguments))
    try:
        notice.paths = _paths(notice)
        value = answer(notice)
    except (FileNotFoundError, ProcessLookupError):
        value = None  # it was killed meanwhile
    if value is None:
        response = struct.pack("=QqiI", identity, 0, 0, _GO_ON)
    elif value < 0:
        response = struct.pack("=QqiI", identity, 0, value, 0)
    else:
        response = struct.pack("=QqiI", identity, value, 0, 0)
    try:
        fcntl.ioctl(listener, _SEND, response)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def _leader(thread: int) -> int:
    """Return the id of a thread's process."""
    for line in Path(f"/proc/{thread}/status").read_text().splitlines():
        if line.startswith("Tgid:"):
            return int(line.split()[1])
    raise ProcessLookupError(thread)


def _paths(notice: Notice) -> tuple[str, ...]:
    found, base = [], None
    for kind, value in zip(CALLS[notice.name][1], notice.arguments, strict=False):
        if kind == "f":
            found.append(_target(notice.pid, _signed(value)))
        elif kind == "d":
            base = _signed(value)
        elif kind == "p":
            text = os.fsdecode(notice.memory(value, 4096).partition(b"\0")[0])
            where = _target(notice.pid, _AT_FDCWD if base is None else base)
            # Without a name it is about the descriptor itself.
            found.append(os.path.normpath(os.path.join(where, text)) if text else where)  # noqa: PTH118
    return tuple(found)


def _target(pid: int, number: int) -> str:
    if number == _AT_FDCWD:
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}")  # noqa: PTH115
    except FileNotFoundError:
        return ""


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def wait_a_little(seconds: float) -> None:
    """Let a call wait, as on a slow disk."""
    time.sleep(seconds)
