"""A batch transform job from its start to its end, in a thread of its own."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kneighbors.local.channels import InputRefused, Source, sources_of
from kneighbors.local.deployment import FleetFailed, VariantPlan
from kneighbors.local.faults import Fault
from kneighbors.local.instance import Instance, Message
from kneighbors.local.job_failures import CLOSED, JobFailed, short
from kneighbors.local.json_paths import JsonPath
from kneighbors.local.objects import split_s3
from kneighbors.local.records import written_at_last
from kneighbors.local.removal import remove_tree
from kneighbors.local.transform_records import (
    BadRecord,
    Processing,
    opened,
    payloads_of,
    records_of,
)

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane
    from kneighbors.local.running import Task

LOG = logging.getLogger("kneighbors.local")

KIND = "transform-job"
LOG_GROUP = "/aws/sagemaker/TransformJobs"
_MIB = 1 << 20
_ANSWER_BYTES = 1 << 30
_STOP_GRACE_S = 30.0
_RETRY_S = 0.2
#: What a container is asked with if neither the job nor it says otherwise.
_CONCURRENCY, _STRATEGY, _PAYLOAD_MB = 1, "MultiRecord", 6
_TIMEOUT_S, _RETRIES = 600, 3


def run_transform_job(plane: Plane, name: str, task: Task) -> None:
    """Run a job whose record has been created; whatever happens, the record says so."""
    job = plane.records.get(KIND, name)
    if job is None:
        return
    run = _Run(plane, job, task)
    try:
        facts = _ending(run, name, task)
    finally:
        # Before its end is told: the room that its files take may be what the record lacks.
        run.remove()
    facts["TransformEndTime"] = time.time()
    written_at_last(lambda: plane.records.update(KIND, name, facts), lambda: task.is_closing)


def _ending(run: _Run, name: str, task: Task) -> dict[str, Any]:
    """Run a job; return what its record is to say of its end."""
    try:
        run.transform()
    except (JobFailed, InputRefused, FleetFailed) as error:
        if not (task.stop.is_set() and not task.is_closing):
            return {"TransformJobStatus": "Failed", "FailureReason": short(str(error))}
    except Exception as error:
        LOG.exception("the transform job %s failed", name)
        reason = f"InternalServerError: {type(error).__name__}: {error}"
        return {"TransformJobStatus": "Failed", "FailureReason": short(reason)}
    return {"TransformJobStatus": "Stopped" if task.stop.is_set() else "Completed"}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a container is asked.

    Parameters
    ----------
    concurrency : int
        Requests at once.
    strategy : {"SingleRecord", "MultiRecord"}
    payload_mb : int
        Most of a request; 0 is no limit.
    """

    concurrency: int
    strategy: str
    payload_mb: int


def manner_of(job: dict[str, Any], said: bytes | None) -> Manner:
    """Return how a job asks: as it says, or as its container says, or as is usual.

    Parameters
    ----------
    job : dict
        As CreateTransformJob has it.
    said : bytes or None
        What the container's ``/execution-parameters`` answered.

    Examples
    --------
    >>> manner_of({"MaxPayloadInMB": 1}, b'{"MaxPayloadInMB": 2, "BatchStrategy": "SINGLE_RECORD"}')
    Manner(concurrency=1, strategy='SingleRecord', payload_mb=1)
    """
    try:
        own = json.loads(said or b"{}")
    except ValueError:
        own = {}
    own = own if isinstance(own, dict) else {}
    strategy = {"SINGLE_RECORD": "SingleRecord", "MULTI_RECORD": "MultiRecord"}
    return Manner(
        # 0 asks to leave it to the container.
        job.get("MaxConcurrentTransforms") or _count(own, "MaxConcurrentTransforms", _CONCURRENCY),
        job.get("BatchStrategy") or strategy.get(str(own.get("BatchStrategy")), _STRATEGY),
        job["MaxPayloadInMB"]
        if "MaxPayloadInMB" in job
        else _count(own, "MaxPayloadInMB", _PAYLOAD_MB),
    )


def _count(own: dict[str, Any], name: str, otherwise: int) -> int:
    value = own.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


class _Run:
    def __init__(self, plane: Plane, job: dict[str, Any], task: Task) -> None:
        self._plane = plane
        self._job = job
        self._task = task
        self._name = str(job["TransformJobName"])
        self._home = plane.root / "containers" / KIND / self._name
        self._instances: list[Instance] = []
        self._failures: list[str] = []
        self._processing = _processing(job)

    def transform(self) -> None:
        """Transform all files; raise if one could not be."""
        self._plane.records.update(KIND, self._name, {"TransformStartTime": time.time()})
        remove_tree(self._home)
        self._home.mkdir(parents=True)
        channel = {"DataSource": self._job["TransformInput"]["DataSource"]}
        sources = sources_of(self._plane, channel)
        count = min(self._job["TransformResources"]["InstanceCount"], len(sources))
        with ThreadPoolExecutor(count) as pool:
            shares = [sources[place::count] for place in range(count)]
            for done in [pool.submit(self._run_instance, *pair) for pair in enumerate(shares)]:
                done.result()
        if self._task.is_closing:
            raise JobFailed(CLOSED)
        if self._failures:
            raise JobFailed(
                "ClientError: See job logs for more information. " + "; ".join(self._failures)
            )

    def remove(self) -> None:
        """End what may still run, and remove the job's files."""
        for instance in self._instances:
            instance.stop(0)
        remove_tree(self._home)

    def _run_instance(self, place: int, sources: list[Source]) -> None:
        home = self._home / str(place + 1)
        log = self._plane.logs.writer(LOG_GROUP, f"{self._name}/i-{place + 1}-{int(time.time())}")
        plan = VariantPlan("transform", 1.0, 1, self._containers())
        instance = Instance(self._plane, self._name, plan, home / "instance", log)
        self._instances.append(instance)
        instance.start(self._task.stop)
        said = instance.execution_parameters()
        manner = manner_of(self._job, None if said is None else said.body)
        try:
            for source in sources:
                if self._task.stop.is_set():
                    return
                self._transform_file(instance, source, manner, home, log)
        finally:
            instance.stop(_STOP_GRACE_S)

    def _containers(self) -> list[dict[str, Any]]:
        """Return the model's containers, with the variables of a batch job."""
        strategy = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}
        told = {"SAGEMAKER_BATCH": "true"}
        if "MaxPayloadInMB" in self._job:
            told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(self._job["MaxPayloadInMB"])
        if "BatchStrategy" in self._job:
            told["SAGEMAKER_BATCH_STRATEGY"] = strategy[self._job["BatchStrategy"]]
        if "MaxConcurrentTransforms" in self._job:
            told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(self._job["MaxConcurrentTransforms"])
        own = self._job.get("Environment", {})
        return [
            {**one, "Environment": {**one.get("Environment", {}), **own, **told}}
            for one in self._job["_containers"]
        ]

    def _transform_file(
        self, instance: Instance, source: Source, manner: Manner, home: Path, log: Any
    ) -> None:
        """Transform one file; a bad record fails it, and the others go on."""
        given, made = home / "input", home / "output"
        address = f"s3://{source.bucket}/{source.key}"
        try:
            self._plane.objects.download(source.bucket, source.key, given)
            with made.open("wb") as out:
                for piece in self._results(instance, given, manner):
                    self._write(out, piece)
            if not self._task.stop.is_set():
                self._upload(made, source)
        except (BadRecord, Fault, FileNotFoundError) as error:
            self._failures.append(f"{address}: {error}")
            log.write_line(f"[sagemaker logs]: {address}: {error}")
        except OSError as error:
            raise JobFailed(f"ClientError: {address}: {error.strerror}.") from error

    def _results(self, instance: Instance, given: Path, manner: Manner) -> Iterator[bytes]:
        """Yield what comes of each request, in the order of records."""
        entry = self._job["TransformInput"]
        with (
            opened(given, entry.get("CompressionType", "None")) as file,
            ThreadPoolExecutor(manner.concurrency) as pool,
        ):
            records = records_of(file, entry.get("SplitType", "None"))
            waiting: deque[tuple[list[bytes], Future[bytes]]] = deque()
            gone = threading.Event()
            try:
                for batch in payloads_of(records, manner.strategy, manner.payload_mb * _MIB):
                    body = self._processing.payload(batch)
                    waiting.append((batch, pool.submit(self._ask, instance, body, gone)))
                    if len(waiting) > manner.concurrency:
                        yield self._result(*waiting.popleft())
                    if self._task.stop.is_set():
                        return
                while waiting:
                    yield self._result(*waiting.popleft())
            finally:
                gone.set()

    def _result(self, batch: list[bytes], answer: Future[bytes]) -> bytes:
        return self._processing.result(batch, answer.result())

    def _ask(self, instance: Instance, body: bytes, gone: threading.Event) -> bytes:
        """Return a container's answer; what is its own fault is tried again."""
        client = self._job.get("ModelClientConfig", {})
        retries = client.get("InvocationsMaxRetries", _RETRIES)
        timeout_s = client.get("InvocationsTimeoutInSeconds", _TIMEOUT_S)
        message = Message(self._headers(), body)
        while True:
            try:
                return instance.send(message, timeout_s, _ANSWER_BYTES).body
            except Fault as fault:
                status = fault.facts.get("OriginalStatusCode", 0)
                is_theirs = isinstance(status, int) and 400 <= status < 500
                if is_theirs or retries <= 0 or gone.is_set() or self._task.stop.is_set():
                    raise _as_aws_says(fault) from fault
                if instance.has_ended():
                    raise JobFailed(
                        "AlgorithmError: The model's container ended. See job logs for more "
                        "information."
                    ) from fault
                retries -= 1
                gone.wait(_RETRY_S)

    def _headers(self) -> dict[str, str]:
        headers = {}
        if content_type := self._job["TransformInput"].get("ContentType"):
            headers["Content-Type"] = content_type
        if accept := self._job["TransformOutput"].get("Accept"):
            headers["Accept"] = accept
        return headers

    def _write(self, out: BinaryIO, piece: bytes) -> None:
        out.write(piece)
        is_line = self._job["TransformOutput"].get("AssembleWith") == "Line"
        if is_line and piece and not piece.endswith(b"\n"):
            out.write(b"\n")

    def _upload(self, made: Path, source: Source) -> None:
        output = self._job["TransformOutput"]["S3OutputPath"].rstrip("/")
        bucket, key = split_s3(f"{output}/{source.name}.out")
        self._plane.objects.upload(made, bucket, key)


def _processing(job: dict[str, Any]) -> Processing:
    given = job.get("DataProcessing", {})
    content_type = job["TransformInput"].get("ContentType", "text/csv").partition(";")[0].strip()
    return Processing(
        content_type,
        input_filter=_filter(given.get("InputFilter", "$")),
        output_filter=_filter(given.get("OutputFilter", "$")),
        is_joined=given.get("JoinSource") == "Input",
    )


def _filter(text: str) -> JsonPath | None:
    return None if text == "$" else JsonPath(text)


def _as_aws_says(fault: Fault) -> BadRecord:
    status, said = fault.facts.get("OriginalStatusCode"), fault.facts.get("OriginalMessage")
    if not status:  # no answer at all
        return BadRecord(str(said or fault.message))
    return BadRecord(f"Bad HTTP status received from algorithm: {status}. {said}")
