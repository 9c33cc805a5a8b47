"""What ``train`` does in a container: a user's script, or our own training on the channels."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from kneighbors.errors import CorpusRefused, ParameterRefused, StorageError
from kneighbors.sagemaker.job import Job, base_dir
from kneighbors.sagemaker.job_variables import variables_of
from kneighbors.sagemaker.outcome import (
    is_ours,
    reason_of,
    traceback_of,
    write_failure,
    write_success,
)
from kneighbors.sagemaker.script_mode import run_script
from kneighbors.storage import translated

#: Channels of which one holds the corpus.
_CORPUS_CHANNELS = ("train", "training")
#: Channels that may lie beside it, each with one file.
_LABEL_CHANNELS = ("ids", "items", "vocabulary")
_EXIT_OK, _EXIT_FAILED, _EXIT_TERMINATED = 0, 1, 143


class _Stopped(BaseException):
    """SIGTERM came; passes every ``except Exception``, as KeyboardInterrupt does."""


def run(environ: Mapping[str, str] = os.environ) -> int:
    """Train as the files below ``/opt/ml/input/config`` say, and return the exit code.

    A job whose hyperparameters name a script (``sagemaker_program``) runs it; any other fits the
    channel ``train`` (or ``training``), with what the channels ``ids``, ``items`` and
    ``vocabulary`` hold, if there are such.

    Parameters
    ----------
    environ : mapping of str to str
        Usually ``os.environ``. ``SAGEMAKER_BASE_DIR`` stands in for ``/opt/ml``.

    Returns
    -------
    int
        0 done, and ``output/success`` is there; 1 failed, and ``output/failure`` says why in at
        most 1,024 characters; 143 stopped by SIGTERM, which is no failure.

    Notes
    -----
    Sets handlers for SIGTERM while it runs, where it runs in the main thread. A script gets the
    signal and ends when it likes; our own training ends at once, its checkpoints being whole.
    """
    output_dir = base_dir(environ) / "output"
    try:
        with _stoppable():
            job = Job.read(environ)
            code = run_script(job) if job.program else _fit(job)
        if code == _EXIT_OK:
            write_success(output_dir)
    except _Stopped:
        sys.stderr.write("terminated\n")
        return _EXIT_TERMINATED
    except Exception as error:
        _report(error, output_dir)
        return _EXIT_FAILED
    return code


def _report(error: Exception, output_dir: Path) -> None:
    reason = reason_of(error)
    sys.stderr.write((traceback_of(error) if is_ours(error) else "") + f"error: {reason}\n")
    try:
        write_failure(output_dir, reason)
    except StorageError as unwritten:
        sys.stderr.write(f"error: {reason_of(unwritten)}\n")


def _fit(job: Job) -> int:
    # A script may need none of it, and should not wait for it.
    from kneighbors.sagemaker.settings import TrainingSettings
    from kneighbors.sagemaker.training import train_host

    settings = TrainingSettings.resolve(_arguments(job), {**job.environ, **variables_of(job)})
    report = train_host(settings, say=_say)
    if report is not None:
        sys.stdout.write("".join(line + "\n" for line in report.metric_lines()))
        sys.stdout.flush()
    return _EXIT_OK


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _arguments(job: Job) -> dict[str, str]:
    """Return what the job's channels say, as arguments of a training run."""
    given = {name.replace("-", "_") for name in job.own_hyperparameters}
    found = {}
    if job.checkpoint_dir is not None and "checkpoint_dir" not in given:
        found["checkpoint_dir"] = str(job.checkpoint_dir)
    _refuse_pipes(job)
    if "train" not in given and not any(name in job.channels for name in _CORPUS_CHANNELS):
        raise ParameterRefused(
            "channel-missing",
            f"Expected a channel 'train' or 'training', got {', '.join(job.channels) or 'none'}.",
            where="input/config/inputdataconfig.json",
            hint="Name the channel in fit({'train': ...}).",
        )
    for name in _LABEL_CHANNELS:
        if name in job.channels and name not in given:
            found[name] = _only_file(job, name)
    return found


def _refuse_pipes(job: Job) -> None:
    for name, channel in job.channels.items():
        mode = channel.get("TrainingInputMode") if isinstance(channel, dict) else None
        if mode == "Pipe":
            raise ParameterRefused(
                "channel-mode",
                f"Expected the channel {name!r} in the mode File or FastFile, got Pipe, whose "
                "bytes can be read but once.",
                where="input/config/inputdataconfig.json",
                hint="Give input_mode='FastFile', which copies nothing either.",
            )


def _only_file(job: Job, name: str) -> str:
    folder = job.channel_path(name)
    with translated(folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    if len(files) != 1:
        raise CorpusRefused(
            "channel-files",
            f"Expected one file in the channel {name!r}, got {len(files)}.",
            where=str(folder),
        )
    return str(files[0])


@contextmanager
def _stoppable() -> Iterator[None]:
    """Raise _Stopped on the first SIGTERM, and ignore those that come while it is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
