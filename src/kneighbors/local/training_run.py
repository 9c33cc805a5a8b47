"""A training job from its start to its end, in a thread of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from kneighbors.local.channels import InputRefused, sources_of
from kneighbors.local.job_failures import CLOSED, JobFailed
from kneighbors.local.job_files import hosts_of
from kneighbors.local.job_output import has_files, upload_archive, upload_files
from kneighbors.local.metrics import Metrics
from kneighbors.local.progress import KIND, Progress
from kneighbors.local.records import written_at_last
from kneighbors.local.removal import remove_tree
from kneighbors.local.training_instance import TrainingInstance

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane
    from kneighbors.local.running import Task

LOG = logging.getLogger("kneighbors.local")

#: Seconds between SIGTERM and SIGKILL in place of AWS's; when the plane ends, there are fewer.
GRACE_VARIABLE = "KNEIGHBORS_LOCAL_STOP_GRACE_S"
_GRACE_S = 120.0
_CLOSING_GRACE_S = 10.0
_POLL_S = 0.05
_METRICS_INTERVAL_S = 1.0
_SIZE_INTERVAL_S = 1.0
_GIB = 1 << 30


def run_training_job(plane: Plane, name: str, task: Task) -> None:
    """Run a job whose record has been created; whatever happens, the record says so.

    Parameters
    ----------
    plane : Plane
    name : str
    task : Task
        Its stop event ends the job.
    """
    progress = Progress(plane, name)
    job = plane.records.get(KIND, name)
    if job is None:
        return
    run = _Run(plane, job, progress, task)
    try:
        ending = _ending(run, name)
    finally:
        # Before its end is told: the room that its files take may be what the record lacks.
        run.remove()
    written_at_last(lambda: progress.end(*ending), lambda: task.is_closing)


def _ending(run: _Run, name: str) -> tuple[str, str, str | None]:
    """Run a job; return status and secondary status in which it ends, and why if it failed."""
    try:
        return *run.train(), None
    except (JobFailed, InputRefused) as error:
        return "Failed", "Failed", str(error)
    except Exception as error:
        LOG.exception("the training job %s failed", name)
        return "Failed", "Failed", f"InternalServerError: {type(error).__name__}: {error}"


class _Run:
    def __init__(self, plane: Plane, job: dict[str, Any], progress: Progress, task: Task) -> None:
        self._plane = plane
        self._job = job
        self._progress = progress
        self._task = task
        self._metrics = Metrics(job["AlgorithmSpecification"].get("MetricDefinitions", []))
        self._home = plane.root / "containers" / KIND / job["TrainingJobName"]
        self._instances: list[TrainingInstance] = []
        self._deadline = float("inf")
        self._outgrown: str | None = None

    def train(self) -> tuple[str, str]:
        """Return status and secondary status in which the job ends; raise if it fails."""
        self._progress.enter("Downloading")
        self._deadline = time.monotonic() + self._job["StoppingCondition"]["MaxRuntimeInSeconds"]
        self._download()
        if self._task.stop.is_set():
            return self._ended_early()
        self._progress.enter("Training")
        try:
            for instance in self._instances:
                instance.start()
            failed = self._watch()
        finally:
            self._stop_all(self._grace())
            self._progress.set(FinalMetricDataList=self._metrics.final)
        return self._finish(failed)

    def remove(self) -> None:
        """End what may still run, and remove the job's files."""
        for instance in self._instances:
            instance.stop(0)
            instance.remove()
        remove_tree(self._home)

    def _download(self) -> None:
        hosts = hosts_of(self._job["ResourceConfig"])
        self._instances = [
            TrainingInstance(self._plane, self._job, host, hosts, self._metrics) for host in hosts
        ]
        try:
            inputs = [
                (channel, sources_of(self._plane, channel))
                for channel in self._job.get("InputDataConfig", [])
            ]
            for instance in self._instances:
                instance.prepare(inputs)
        except InputRefused as error:
            raise JobFailed(f"ClientError: Data download failed: {error}") from error
        except OSError as error:
            raise JobFailed(f"ClientError: Data download failed: {error.strerror}") from error

    def _watch(self) -> TrainingInstance | None:
        """Wait for the end; return the host that failed, None if none did or time was up."""
        sizes = threading.Thread(target=self._watch_sizes, daemon=True)
        sizes.start()
        seen, next_note = 0, 0.0
        while True:
            codes = [instance.poll() for instance in self._instances]
            for instance, code in zip(self._instances, codes, strict=True):
                if code:
                    return instance
            is_over = all(code == 0 for code in codes)
            if is_over or self._must_end():
                return None
            if self._metrics.count != seen and time.monotonic() >= next_note:
                seen, next_note = self._metrics.count, time.monotonic() + _METRICS_INTERVAL_S
                self._progress.set(FinalMetricDataList=self._metrics.final)
            self._task.stop.wait(_POLL_S)

    def _must_end(self) -> bool:
        is_late = time.monotonic() > self._deadline
        return is_late or self._task.stop.is_set() or self._outgrown is not None

    def _watch_sizes(self) -> None:
        """Note when a host's files outgrow the volume that the job asked for."""
        gib = self._job["ResourceConfig"].get("VolumeSizeInGB") or 0
        while gib and not self._must_end():
            before = time.monotonic()
            for instance in self._instances:
                if instance.poll() is None and instance.size() > gib * _GIB:
                    self._outgrown = (
                        "ClientError: No space left on device: the files of "
                        f"{instance.host.name} outgrew VolumeSizeInGB, which is {gib}."
                    )
                    return
            took = time.monotonic() - before
            self._task.stop.wait(max(_SIZE_INTERVAL_S, 10 * took))
            if all(instance.poll() is not None for instance in self._instances):
                return

    def _grace(self) -> float:
        if self._outgrown is not None:
            return 0
        grace_s = float(os.environ.get(GRACE_VARIABLE) or _GRACE_S)
        return min(grace_s, _CLOSING_GRACE_S) if self._task.is_closing else grace_s

    def _stop_all(self, grace_s: float) -> None:
        with ThreadPoolExecutor(len(self._instances)) as pool:
            list(pool.map(lambda instance: instance.stop(grace_s), self._instances))

    def _finish(self, failed: TrainingInstance | None) -> tuple[str, str]:
        if self._outgrown is not None:
            raise JobFailed(self._outgrown)
        is_stopped = self._task.stop.is_set()
        if failed is not None and not is_stopped:
            self._upload_data()
            raise JobFailed(failed.failure(failed.poll() or 1))
        if self._task.is_closing:
            raise JobFailed(CLOSED)
        self._progress.enter("Uploading")
        self._upload_data()
        self._upload_model()
        if is_stopped:
            return "Stopped", "Stopped"
        if all(instance.poll() == 0 for instance in self._instances) and not self._is_late():
            return "Completed", "Completed"
        return "Stopped", "MaxRuntimeExceeded"

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _ended_early(self) -> tuple[str, str]:
        if self._task.is_closing:
            raise JobFailed(CLOSED)
        return "Stopped", "Stopped"

    def _upload_data(self) -> None:
        folders = [instance.base / "output/data" for instance in self._instances]
        if has_files(folders):
            self._upload(folders, "output.tar.gz", "data/")

    def _upload_model(self) -> None:
        folders = [instance.base / "model" for instance in self._instances]
        if self._task.stop.is_set() and not has_files(folders):
            return  # stopped before there was a model
        address = self._upload(folders, "model.tar.gz", "model/")
        self._progress.set(ModelArtifacts={"S3ModelArtifacts": address})

    def _upload(self, folders: list[Any], archive: str, prefix: str) -> str:
        output = self._job["OutputDataConfig"]
        top = f"{output['S3OutputPath'].rstrip('/')}/{self._job['TrainingJobName']}/output/"
        try:
            if output.get("CompressionType") == "NONE":
                upload_files(self._plane.objects, folders, top + prefix)
                return top + prefix
            upload_archive(self._plane.objects, folders, self._home / archive, top + archive)
        except FileNotFoundError as error:
            raise JobFailed(f"ClientError: Artifact upload failed: {error} is missing.") from error
        except OSError as error:
            raise JobFailed(f"ClientError: Artifact upload failed: {error.strerror}.") from error
        return top + archive
