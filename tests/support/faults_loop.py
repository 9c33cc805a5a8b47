"""Commands of which the N-th call of the system fails, for every N: the old state or the new one.

A command runs in a forked child, in a folder of its own; only calls about that folder count. After
each run the folder is looked at, and the command is run once more without a fault: it has to finish
the work and to leave nothing else behind.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kneighbors.cli.app import run
from kneighbors.cli.failures import report
from kneighbors.errors import KNeighborsError
from support.faults_seccomp import CALLS, Answer, Notice, forked, supervised, wait_a_little

#: Calls that need room on a disk.
_GROWING = frozenset({"write", "pwrite64", "writev", "mkdir", "mkdirat", "rename", "renameat",
                      "renameat2", "link", "linkat", "fsync", "fdatasync", "ftruncate",
                      "fallocate", "sendfile", "copy_file_range"})  # fmt: skip
#: Calls that a signal can interrupt, or that may do a part of what they were asked for.
_INTERRUPTIBLE = frozenset({"read", "write", "pread64", "pwrite64", "flock",
                            "fsync", "fdatasync", "ftruncate"})  # fmt: skip
_SYNCING = frozenset({"fsync", "fdatasync"})
_CHANGING = frozenset({"unlink", "unlinkat", "rmdir", "fchmod", "chmod", "flock"})
_PARTIAL = frozenset({"read", "write", "pread64", "pwrite64"})
#: Who is killed leaves temporary files; those are the system's to remove.
TEMPORARY = "temporary"
_CODE = re.compile(r"^error: \[([a-z0-9-]+)\] ", re.M)


@dataclass(frozen=True)
class Fault:
    """What happens to a call.

    Attributes
    ----------
    name : str
    applies : callable
        Whether it can happen to a call.
    answer : callable
        Makes it happen, and returns what to tell the program.
    codes : frozenset of str
        How the refusal may be called; empty where there must be none.
    calls : frozenset of str
        The only ones that it is asked about.
    """

    name: str
    applies: Callable[[Notice], bool]
    answer: Callable[[Notice], Answer]
    codes: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset(CALLS) - {"create"}


def _grows(notice: Notice) -> bool:
    return notice.name in _GROWING or notice.name == "create"


def _say(number: int, notice: Notice) -> Answer:
    return -number


def _kill(notice: Notice) -> Answer:
    os.kill(notice.pid, signal.SIGKILL)
    return -errno.EINTR


def _half(notice: Notice) -> Answer:
    """Do half of a read or a write, on the program's own open file."""
    number, address, length = notice.arguments[:3]
    length = max(1, length // 2)
    with notice.descriptor(number) as own:
        if notice.name.startswith("write"):
            return os.write(own, notice.memory(address, length))
        if notice.name.startswith("pwrite"):
            return os.pwrite(own, notice.memory(address, length), notice.arguments[3])
        is_pread = notice.name == "pread64"
        data = os.pread(own, length, notice.arguments[3]) if is_pread else os.read(own, length)
    if data:
        notice.put(address, data)
    return len(data)


def _wait(notice: Notice) -> Answer:
    wait_a_little(0.002)
    return None


class _EverySecond:
    """Whether a call is to be interrupted: what is asked for again is answered."""

    def __init__(self) -> None:
        self._last = False

    def __call__(self, notice: Notice) -> bool:
        self._last = notice.name in _INTERRUPTIBLE and not self._last
        return self._last


FULL = Fault(
    "ENOSPC",
    _grows,
    partial(_say, errno.ENOSPC),
    frozenset({"storage-full"}),
    _GROWING | {"create"},
)
BROKEN = Fault("EIO", lambda notice: True, partial(_say, errno.EIO), frozenset({"storage-failed"}))
FORBIDDEN = Fault(
    "EACCES",
    lambda notice: True,
    partial(_say, errno.EACCES),
    frozenset({"storage-forbidden"}),
    _SYNCING | {"rename", "renameat2", "openat", "mkdir", "unlink", "unlinkat", "link", "linkat"},
)
# Between two changes it does not matter when.
KILLED = Fault(
    "SIGKILL", lambda notice: _grows(notice) or notice.name in _CHANGING, _kill,
    calls=_GROWING | _CHANGING | {"create"},
)  # fmt: skip
SHORT = Fault("short", lambda notice: notice.name in _PARTIAL, _half, calls=_PARTIAL | _SYNCING)
SLOW = Fault("slow", lambda notice: True, _wait)
EINTR = Fault("EINTR", _EverySecond(), partial(_say, errno.EINTR), calls=_INTERRUPTIBLE)


@dataclass
class Ended:
    """How a command ended.

    Attributes
    ----------
    exit_code : int
        Below zero for a signal.
    output : str
    hits : list of Notice
        The calls that a fault met.
    """

    exit_code: int
    output: str
    hits: list[Notice]

    @property
    def code(self) -> str | None:
        """The code of the refusal."""
        found = _CODE.search(self.output)
        return found[1] if found else None

    def __str__(self) -> str:
        calls = [(hit.name, *(Path(path).name for path in hit.paths)) for hit in self.hits[-1:]]
        return f"exit {self.exit_code} after {calls}: {self.output[-600:]}"


def run_with(fault: Fault, nth: int, folder: Path, action: Callable[[], int]) -> Ended:
    """Run something in a child whose N-th call about a folder meets a fault; 0 for every call."""
    hits: list[Notice] = []
    count = 0
    top = str(folder)

    def answer(notice: Notice) -> Answer:
        nonlocal count
        if hits and nth > 0:
            return 0 if notice.name in _SYNCING else None
        if not any(path == top or path.startswith(top + "/") for path in notice.paths):
            return None
        if fault.applies(notice):
            count += 1
            if nth in {0, count}:
                hits.append(notice)
                return fault.answer(notice)
        # Only a loss of power could tell, which is for another test.
        return 0 if notice.name in _SYNCING else None

    with tempfile.TemporaryFile("w+") as log:
        exit_code = supervised(fault.calls, partial(_redirected, log.fileno(), action), answer)
        log.seek(0)
        return Ended(exit_code, log.read(), hits)


def run_quietly(action: Callable[[], int]) -> Ended:
    """Run something in a child without a fault."""
    with tempfile.TemporaryFile("w+") as log:
        pid = forked()
        if pid == 0:
            code = 70
            try:
                os.fsync = lambda fd: None
                code = _redirected(log.fileno(), action)
            finally:
                os._exit(code)
        exit_code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        log.seek(0)
        return Ended(exit_code, log.read(), [])


def _redirected(log: int, action: Callable[[], int]) -> int:
    os.dup2(log, 1)
    os.dup2(log, 2)
    # The streams of a test's runner lead elsewhere.
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    code = action()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def in_folder(folder: Path, act: Callable[[Path], object]) -> int:
    """Do something with its temporary files in the folder too, and return how a command ends."""
    temporary = folder / TEMPORARY
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
    warnings.simplefilter("error")
    try:
        code = act(folder)
    except Exception as error:
        return report(error, as_json=False)
    return code if isinstance(code, int) else 0


def command(*arguments: str) -> Callable[[Path], int]:
    """Return what runs a command of ours; ``{}`` in its arguments stands for the folder."""
    return lambda folder: run([argument.replace("{}", str(folder)) for argument in arguments])


@dataclass(frozen=True)
class Operation:
    """Something to do, and how to tell what it has left.

    Attributes
    ----------
    act : callable
        Given the folder; may return an exit code, or raise.
    state : callable
        Given the folder, returns "old" or "new"; fails for anything else.
    """

    act: Callable[[Path], object]
    state: Callable[[Path], str]


def contents_below(folder: Path) -> dict[str, bytes | None]:
    """Return everything in a folder but temporary files: bytes of files, None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if TEMPORARY not in path.parts
    }


def _emptied(folder: Path) -> None:
    """Make the folder for temporary files anew."""
    shutil.rmtree(folder / TEMPORARY, ignore_errors=True)
    (folder / TEMPORARY).mkdir()


def every_call(operation: Operation, fault: Fault, pristine: Path, folder: Path) -> int:
    """Let each call of an operation meet a fault in its turn; return how many there were."""
    work = folder / "work"
    act = partial(in_folder, work, operation.act)
    before = contents_below(pristine)

    def anew() -> None:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(pristine, work)

    anew()
    _emptied(work)
    clean = run_with(fault, -1, work, act)
    assert clean.exit_code == 0, clean
    assert operation.state(work) == "new"
    finished = sorted(contents_below(work))
    anew()
    wrong: list[str] = []
    nth = 0
    while True:
        nth += 1
        _emptied(work)
        ended = run_with(fault, nth, work, act)
        if not ended.hits:
            assert ended.exit_code == 0, ended
            assert not wrong, "\n".join(wrong)
            return nth - 1
        try:
            left = contents_below(work)
            if left == before:
                # Who only reads has done its work without a change.
                state = operation.state(work) if ended.exit_code == 0 else "old"
                check_end(fault, ended, state)
                continue
            check_end(fault, ended, operation.state(work))
            # What a fault has left must not hinder the next one, and be gone after it.
            _emptied(work)
            again = run_quietly(act)
            assert again.exit_code == 0, (str(ended), str(again))
            assert operation.state(work) == "new", ended
            assert sorted(contents_below(work)) == finished, ended
        except (AssertionError, KNeighborsError) as error:
            wrong.append(f"call {nth}: {error}"[:2000])
        anew()


def every_call_at_once(operation: Operation, fault: Fault, pristine: Path, folder: Path) -> Ended:
    """Let all calls of an operation meet a fault that is none to who goes on."""
    work = folder / "work"
    shutil.copytree(pristine, work)
    _emptied(work)
    ended = run_with(fault, 0, work, partial(in_folder, work, operation.act))
    assert operation.state(work) == "new", ended
    return ended


def write_down(facts: dict[str, object]) -> None:
    """Add a line to the counts of this run of the tests, if somebody wants them."""
    folder = os.environ.get("KNEIGHBORS_COUNTS_DIR")
    if folder:
        with (Path(folder) / "calls.jsonl").open("a") as file:
            file.write(json.dumps(facts) + "\n")


def check_end(fault: Fault, ended: Ended, state: str) -> None:
    """Hold what a command said against what it left."""
    if fault is KILLED:
        assert ended.exit_code == -signal.SIGKILL, ended
    elif ended.exit_code == 0:
        # What it can do without, such as removing a leftover.
        assert state == "new", ended
    else:
        assert ended.exit_code == 1, ended
        # What cannot be read when it is verified counts as damaged, with the reason.
        is_told = ended.code == "artifact-damaged" and any(
            reason in ended.output for reason in (os.strerror(errno.EIO), "permissions forbid")
        )
        # A path that cannot be looked at is taken for no place.
        is_told |= ended.code == "artifact-unknown" and "CURRENT" in str(ended)
        assert ended.code in fault.codes or is_told, ended
        assert "Traceback" not in ended.output, ended
