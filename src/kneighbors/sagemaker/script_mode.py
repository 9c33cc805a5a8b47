"""Script mode: a user's own script, run as AWS's training toolkit runs it.

The code comes to ``code/`` below the base directory, unless something is there already; what its
``requirements.txt`` names is installed into this interpreter; then the script runs with the
hyperparameters as arguments and the job's variables in its environment.

Not alike on purpose: the archive is refused where it is hostile, rather than mended; the failure
tells the end of the script's traceback, where the toolkit tells the command alone; SIGTERM is
handed on; the toolkit waits for the names of the other hosts to be known, and runs MPI, and we do
neither. `docs/how-to/train.md` lists the variables that differ.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import IO

from kneighbors.errors import ParameterRefused, ScriptError, StorageError
from kneighbors.sagemaker.archives import fetched, unpack_tree
from kneighbors.sagemaker.job import Job
from kneighbors.sagemaker.job_variables import arguments_of, variables_of
from kneighbors.sagemaker.outcome import FAILURE_CHARACTERS, JobFailed
from kneighbors.storage import Address, translated

#: Most bytes of a job's code, unpacked.
_CODE_BYTES = 2 << 30
_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")
_READ_BYTES = 1 << 16
#: Of the script's last words on stderr, what may be needed for the failure.
_TAIL_BYTES = 1 << 15
#: How long a descendant of the script may keep its stderr open after the script has ended.
_LINGER_S = 2.0
_COMMAND_CHARACTERS = 200
_EXIT_TERMINATED = 143


class Ended(Enum):
    """How a child ended that did not fail."""

    WELL = "with the exit code 0"
    STOPPED = "with another, after a signal that was handed on"


def run_script(job: Job) -> int:
    """Fetch the code, install what it needs, run it, and return 0 or 143.

    Parameters
    ----------
    job : Job
        `job.program` is set.

    Returns
    -------
    int
        143 if SIGTERM came and the script did not end well after it, else 0.

    Raises
    ------
    JobFailed
        If the script or its installation ends with another code than 0.
    ParameterRefused, ScriptError, StorageError
        If there is no such script, or the code cannot be had.
    """
    program = _checked(job.program or "")
    _refuse_mpi(job)
    fetch_code(job.submit_directory, job.code_dir)
    if not (job.code_dir / program).is_file() and not _is_package(job.code_dir, program):
        raise ScriptError(
            "script-missing",
            f"Expected the script {program!r} in the code of the job, found none.",
            where=job.submit_directory,
            hint="Give sagemaker_program as the path of a file in the source directory.",
        )
    environ = _environment(job)
    if _install(job.code_dir, program, environ) is Ended.STOPPED:
        return _EXIT_TERMINATED
    command = _command(job.code_dir, program, arguments_of(job))
    ended = _run(command, job.code_dir, environ, "ExecuteUserScriptError")
    return _EXIT_TERMINATED if ended is Ended.STOPPED else 0


def fetch_code(address: str, folder: Path) -> None:
    """Bring code to a folder: an archive or a directory, on S3 or here; nothing if some is there.

    Parameters
    ----------
    address : str
        ``s3://....tar.gz``, a ``.tar.gz``, a directory, or a single file.
    folder : Path
        Made if it does not exist.

    Raises
    ------
    StorageError
        As `kneighbors.sagemaker.archives.unpack_tree` raises it.
    """
    with translated(folder):
        if folder.is_dir() and any(folder.iterdir()):
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="kneighbors-") as room:
            source = fetched(address, Path(room))
            if source.is_dir():
                shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)
            elif _is_archive(source):
                unpack_tree(source, folder, max_bytes=_CODE_BYTES)
            elif source.suffix in (".py", ".sh"):
                folder.mkdir(exist_ok=True)
                shutil.copy2(source, folder / source.name)
            else:
                raise StorageError(
                    "archive-damaged",
                    "Expected a directory, a .tar.gz or a script, got neither.",
                    where=Address.parse(address).shown,
                )


def _is_archive(path: Path) -> bool:
    with translated(path), path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _checked(program: str) -> str:
    """Refuse a name that is an option, or that leads out of the code."""
    if not _NAME.fullmatch(program) or not {".", ".."}.isdisjoint(program.split("/")):
        raise ParameterRefused(
            "script-name",
            "Expected the path of a script within the code, of letters, digits and . _ + - /, "
            f"got {program!a:.100}.",
            where="sagemaker_program",
        )
    return program


def _refuse_mpi(job: Job) -> None:
    wanted = [
        name
        for name, value in job.framework_parameters.items()
        if name.endswith("_enabled") and value is True
    ]
    if wanted:
        raise ParameterRefused(
            "distribution-unsupported",
            f"Expected a script that starts once a host, got {wanted[0]}.",
            hint="Leave 'distribution' out of the estimator.",
        )


def _environment(job: Job) -> dict[str, str]:
    environ = {**job.environ, **variables_of(job)}
    # The script runs elsewhere, where what was relative would be another path.
    paths = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, [str(job.code_dir), *paths]))
    # Else a script's lines reach the log, and its metrics CloudWatch, when it has ended.
    environ.setdefault("PYTHONUNBUFFERED", "1")
    return environ


def _is_package(code: Path, program: str) -> bool:
    return not program.endswith(".sh") and (code / "setup.py").is_file()


def _install(code: Path, program: str, environ: Mapping[str, str]) -> Ended:
    is_python = program.endswith(".py") or _is_package(code, program)
    wanted = ["."] if _is_package(code, program) else []
    if is_python and (code / "requirements.txt").is_file():
        wanted += ["-r", "requirements.txt"]
    if not wanted:
        return Ended.WELL
    command = [sys.executable, "-m", "pip", "install", *wanted]
    return _run(command, code, environ, "InstallRequirementsError")


def _command(code: Path, program: str, arguments: Sequence[str]) -> list[str]:
    if _is_package(code, program):
        return [sys.executable, "-m", program.removesuffix(".py"), *arguments]
    if program.endswith(".py"):
        return [sys.executable, program, *arguments]
    path = code / program
    with translated(path):
        path.chmod(0o755)
    return ["/bin/sh", "-c", shlex.join([f"./{program}", *arguments])]


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str], what: str) -> Ended:
    """Run a command whose output is ours; `what` is the name of its failure."""
    with (
        _handed_on() as signals,
        subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=_stdout(),
            stderr=subprocess.PIPE,
        ) as process,
    ):
        tail = _Tail(process.stderr)
        signals.hand_on_to(process)
        code = process.wait()
        text = tail.finish()
    if code == 0:
        return Ended.WELL
    if signals.seen:
        return Ended.STOPPED
    raise JobFailed(_failure(what, code, text, command))


def _stdout() -> int | None:
    """Return where a child writes to: our stdout, whatever stands in for it in Python."""
    sys.stdout.flush()
    try:
        return sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return None


class _Signals:
    """Signals that came, for a child that may not be there yet."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    def take(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal, and hand it on."""
        self.seen.append(number)
        if self._process is not None:
            self._process.send_signal(number)

    def hand_on_to(self, process: subprocess.Popen[bytes]) -> None:
        """Hand on what came already, and what will come."""
        self._process = process
        for number in self.seen:
            process.send_signal(number)


@contextmanager
def _handed_on() -> Iterator[_Signals]:
    """Hand SIGTERM and SIGINT on to a child."""
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        # Handlers are the main thread's; whoever runs us elsewhere ends the child itself.
        yield signals
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, signals.take) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Tail:
    """Pass a child's stderr on as it comes, and keep its end."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            raise AssertionError("stderr is a pipe")
        self._stream = stream
        self._kept: deque[bytes] = deque()
        self._length = 0
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def finish(self) -> str:
        """Return the end of what was written, once the child has ended."""
        self._thread.join(_LINGER_S)
        return b"".join(self._kept)[-_TAIL_BYTES:].decode("utf-8", "replace")

    def _pass_on(self) -> None:
        while chunk := os.read(self._stream.fileno(), _READ_BYTES):
            sys.stderr.write(chunk.decode("utf-8", "replace"))
            sys.stderr.flush()
            self._kept.append(chunk)
            self._length += len(chunk)
            while self._length - len(self._kept[0]) > _TAIL_BYTES:
                self._length -= len(self._kept.popleft())


def _failure(what: str, code: int, tail: str, command: Sequence[str]) -> str:
    """Return what is said of a command that failed, the end of its traceback above all."""
    killed = f'ExtraInfo "killed by {signal.Signals(-code).name}"\n' if code < 0 else ""
    if code == -signal.SIGKILL:
        killed = 'ExtraInfo "killed by SIGKILL: out of memory, perhaps"\n'
    head = f"{what}:\nExitCode {code if code >= 0 else 128 - code}\n"
    shown = shlex.join(command)
    if len(shown) > _COMMAND_CHARACTERS:
        shown = shown[: _COMMAND_CHARACTERS - 3] + "..."
    foot = f'{killed}Command "{shown}"'
    room = FAILURE_CHARACTERS - len(head) - len(foot) - len('ErrorMessage ""\n')
    return f'{head}ErrorMessage "{_last_words(tail, room)}"\n{foot}'


def _last_words(tail: str, room: int) -> str:
    """Return the last traceback, or else the last lines, in at most so many characters."""
    text = tail.strip()
    start = text.rfind("Traceback (most recent call last):")
    text = text[max(start, 0) :]
    if len(text) <= room:
        return text
    cut = text[-(room - 4) :]
    # Whole lines, unless the last one alone is too long.
    return "...\n" + (cut.partition("\n")[2] or cut)
