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
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from kneighbors.errors import ParameterRefused, ScriptError, StorageError
from kneighbors.sagemaker.archives import fetched, unpack_tree
from kneighbors.sagemaker.child import Ended, run_child
from kneighbors.sagemaker.job import Job
from kneighbors.sagemaker.job_variables import arguments_of, variables_of
from kneighbors.storage import Address, translated

#: Most bytes of a job's code, unpacked.
_CODE_BYTES = 2 << 30
_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")
_EXIT_TERMINATED = 143


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
    ended = run_child(command, job.code_dir, environ, "ExecuteUserScriptError")
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
    if is_python and _has_requirements(code / "requirements.txt"):
        wanted += ["-r", "requirements.txt"]
    if not wanted:
        return Ended.WELL
    command = [sys.executable, "-m", "pip", "install", *wanted]
    return run_child(command, code, environ, "InstallRequirementsError")


def _has_requirements(path: Path) -> bool:
    """Tell whether a file names anything to install: pip takes seconds to find that it does not."""
    if not path.is_file():
        return False
    with translated(path):
        lines = path.read_text("utf-8", "replace").splitlines()
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def _command(code: Path, program: str, arguments: Sequence[str]) -> list[str]:
    if _is_package(code, program):
        return [sys.executable, "-m", program.removesuffix(".py"), *arguments]
    if program.endswith(".py"):
        return [sys.executable, program, *arguments]
    path = code / program
    with translated(path):
        path.chmod(0o755)
    return ["/bin/sh", "-c", shlex.join([f"./{program}", *arguments])]
