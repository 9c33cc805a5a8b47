"""One host of a training job: its input, its container, and what it leaves."""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kneighbors.local.channels import (
    Source,
    download,
    make_read_only,
    mode_of,
    share,
)
from kneighbors.local.containers import Container
from kneighbors.local.folder_sync import FolderSync
from kneighbors.local.job_failures import exit_reason
from kneighbors.local.job_files import (
    Host,
    checkpoint_folder,
    rerooted,
    write_config,
)
from kneighbors.local.metrics import Metrics
from kneighbors.local.namespace import has_namespaces
from kneighbors.local.pipes import Pipe
from kneighbors.local.removal import remove_tree

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_KEPT_LINES = 60
#: A channel of the SDK's own scripts, which name /opt/ml outright.
_DRIVERS = "sm_drivers"


class TrainingInstance:
    """One host.

    Parameters
    ----------
    plane : Plane
    job : dict
        The job's record.
    host : Host
    hosts : list of Host
        All of the job's.
    metrics : Metrics
        Sees every line of output.
    """

    def __init__(
        self, plane: Plane, job: dict[str, Any], host: Host, hosts: list[Host], metrics: Metrics
    ) -> None:
        self.host = host
        name = str(job["TrainingJobName"])
        self.home = plane.root / "containers/training-job" / name / host.name
        self._plane = plane
        self._job = job
        self._hosts = hosts
        self._metrics = metrics
        self._last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._pipes: list[Pipe] = []
        self._syncs = self._make_syncs()
        self._container: Container | None = None
        self._log = plane.logs.writer(LOG_GROUP, f"{name}/{host.name}-{int(time.time())}")

    @property
    def base(self) -> Path:
        """The host's ``/opt/ml`` on this machine."""
        return self.home / "opt" / "ml"

    def prepare(self, inputs: list[tuple[dict[str, Any], list[Source]]]) -> None:
        """Lay out the tree: settings, input data, checkpoints.

        Parameters
        ----------
        inputs : list of (channel, sources)

        Raises
        ------
        InputRefused
            If an object cannot become a file.
        """
        remove_tree(self.home)
        for folder in ("model", "output/data", "input/data", "code"):
            (self.base / folder).mkdir(parents=True)
        write_config(self._job, self.base, self.host, self._hosts)
        place = self._hosts.index(self.host)
        default = self._job["AlgorithmSpecification"]["TrainingInputMode"]
        for channel, sources in inputs:
            own = share(sources, channel, place, len(self._hosts))
            data, mode = self.base / "input/data", mode_of(channel, default)
            if mode == "Pipe":
                self._pipes.append(Pipe(self._plane, channel, own, data))
                continue
            folder = data / channel["ChannelName"]
            download(self._plane, own, folder)
            if channel["ChannelName"] == _DRIVERS and not has_namespaces():
                _reroot_files(folder, self.base)
            if mode == "FastFile":
                make_read_only(folder)
        if self._job.get("CheckpointConfig"):
            self._syncs[0].restore()

    def start(self) -> None:
        """Start the container and what goes on beside it."""
        names = [host.name for host in self._hosts]
        environment = dict(self._job.get("Environment", {}))
        environment["TRAINING_JOB_NAME"] = self._job["TrainingJobName"]
        environment["TRAINING_JOB_ARN"] = self._job["TrainingJobArn"]
        if not has_namespaces():
            # The toolkit would look up the hosts' names for a quarter of an hour.
            environment.setdefault("SM_STUDIO_LOCAL_MODE", "true")
        command, python_of = self._command()
        self._container = Container(
            self._plane,
            self.home,
            command,
            environment,
            self._log,
            self.host.name,
            on_line=self._see,
            hosts=names,
            python_of=python_of,
        )
        for part in self._beside():
            part.start()
        self._container.start()

    def poll(self) -> int | None:
        """Return the container's exit code; None while it runs."""
        return None if self._container is None else self._container.poll()

    def stop(self, grace_s: float) -> None:
        """End the container, and bring to S3 what is synchronised."""
        if self._container is not None:
            self._container.stop(grace_s)
        for part in self._beside():
            part.stop()

    def failure(self, code: int) -> str:
        """Return why its exit code is a failure."""
        reason = exit_reason(code, self.base / "output/failure", list(self._last_lines))
        return reason if len(self._hosts) == 1 else f"{reason} ({self.host.name})"

    def say(self, text: str) -> None:
        """Write a line of the control plane's own to the log."""
        self._log.write_line(text)

    def size(self) -> int:
        """Return how many bytes its files take on the disk."""
        return size_of(self.home)

    def remove(self) -> None:
        """Remove all that it had on the disk."""
        self._log.close()
        remove_tree(self.home)

    def _beside(self) -> list[Pipe | FolderSync]:
        return [*self._pipes, *self._syncs]

    def _see(self, line: str) -> None:
        self._last_lines.append(line)
        for text in self._metrics.see(line):
            self.say(text)

    def _make_syncs(self) -> list[FolderSync]:
        output = self._job["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        intermediate = f"{output}/{self._job['TrainingJobName']}/output/intermediate/"
        syncs = [FolderSync(self._plane, self.base / "output/intermediate", intermediate)]
        if checkpoints := self._job.get("CheckpointConfig"):
            folder = checkpoint_folder(self._job, self.base)
            syncs.insert(0, FolderSync(self._plane, folder, checkpoints["S3Uri"]))
        return syncs

    def _command(self) -> tuple[list[str], str]:
        """Return the command, and the one whose Python it runs with."""
        algorithm = self._job["AlgorithmSpecification"]
        image = self._plane.images.command(algorithm["TrainingImage"], "train")
        entry = algorithm.get("ContainerEntrypoint")
        given = algorithm.get("ContainerArguments")
        command = entry or image[:-1]
        command = [*command, *(given or ([] if entry else image[-1:]))]
        if not has_namespaces():
            command = [rerooted(word, self.base) for word in command]
        return command, image[0]


def size_of(folder: Path) -> int:
    """Return how many bytes a directory's files take on the disk.

    Parameters
    ----------
    folder : Path
        What vanishes meanwhile does not count.
    """
    total, waiting = 0, [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total


def _reroot_files(folder: Path, base: Path) -> None:
    for path in folder.rglob("*"):
        if path.suffix in (".sh", ".py", ".json"):
            path.write_text(rerooted(path.read_text(), base))
