"""Asynchronous calls that have been taken on: they wait on the disk until they have a result.

After a restart those without one are made again, also such as were under way: a container may see
a call twice.
"""

from __future__ import annotations

import base64
import logging
import queue
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from kneighbors.local.deployment import DeploymentPlan
from kneighbors.local.faults import Fault
from kneighbors.local.objects import split_s3
from kneighbors.local.routing import acquire, message
from kneighbors.local.runtime_faults import log_group

if TYPE_CHECKING:
    from kneighbors.local.instance import Instance
    from kneighbors.local.plane import Plane
    from kneighbors.local.served import Answer
    from kneighbors.local.variant import Variant

LOG = logging.getLogger("kneighbors.local")
KIND = "async-call"

#: Most bytes of a request and of an answer.
PAYLOAD_BYTES = 1 << 30

#: Where a configuration names no MaxConcurrentInvocationsPerInstance.
_AT_ONCE = 4
_PAUSE_S = 0.5


class AsyncCalls:
    """The asynchronous calls of all endpoints; safe to use from several threads.

    Parameters
    ----------
    plane : Plane
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._stop = threading.Event()

    def open(self, endpoint: str, plan: DeploymentPlan) -> None:
        """Work on an endpoint's calls, as many at once as its plan allows."""
        client = (plan.asynchronous or {}).get("ClientConfig", {})
        each = client.get("MaxConcurrentInvocationsPerInstance", _AT_ONCE)
        with self._lock:
            line = self._lines.get(endpoint)
            if line is None:
                line = self._lines[endpoint] = _Line(endpoint)
                for name, call in self._plane.records.all(KIND):
                    if call["endpoint"] == endpoint:
                        line.waiting.put(name)
            line.resize(each * sum(variant.count for variant in plan.variants), self._work)

    def submit(self, call: dict[str, Any]) -> None:
        """Take a call on; it is on the disk when this returns."""
        # Names sort by time, so that a restart keeps the order.
        name = f"{time.time_ns():020d}-{uuid.uuid4()}"
        self._plane.records.create(KIND, name, call)
        with self._lock:
            line = self._lines.get(call["endpoint"])
        if line is not None:
            line.waiting.put(name)

    def forget(self, endpoint: str) -> None:
        """End an endpoint's calls; those without a result fail."""
        with self._lock:
            line = self._lines.pop(endpoint, None)
        if line is not None:
            line.resize(0, self._work)
        for name, call in list(self._plane.records.all(KIND)):
            if call["endpoint"] == endpoint:
                self._fail(name, call, f"Endpoint {endpoint} was deleted.")

    def close(self) -> None:
        """Begin no more calls; what waits stays on the disk."""
        self._stop.set()
        with self._lock:
            for line in self._lines.values():
                line.resize(0, self._work)

    def _work(self, line: _Line) -> None:
        while (name := line.waiting.get()) is not None:
            call = None if self._stop.is_set() else self._plane.records.get(KIND, name)
            if call is not None:
                try:
                    self._make(name, call)
                except Exception:
                    LOG.exception("the asynchronous call %s", name)
                    self._fail(name, call, "The control plane failed.")

    def _make(self, name: str, call: dict[str, Any]) -> None:
        found = self._turn(call)
        if found is None:
            if not self._stop.is_set():
                self._fail(name, call, "The request expired before an instance could take it.")
            return
        variant, instance = found
        try:
            body = self._input(call)
            sent = message(call["members"], body)
            answer = instance.send(sent, float(call["timeout_s"]), PAYLOAD_BYTES)
            self._finish(name, call, answer)
        except Fault as fault:
            self._end(name, call, fault.message)
        except FileNotFoundError as error:
            self._end(name, call, f"There is nothing at {error}.")
        finally:
            variant.release(instance)

    def _turn(self, call: dict[str, Any]) -> tuple[Variant, Instance] | None:
        """Return an instance as soon as there is one; None once nobody waits any more."""
        while time.time() < call["expires"] and not self._stop.is_set():
            try:
                return acquire(self._plane, call["endpoint"], None)
            except Fault as fault:
                if fault.status == 400 and fault.code != "ThrottlingException":
                    return None
            self._stop.wait(_PAUSE_S)
        return None

    def _input(self, call: dict[str, Any]) -> bytes:
        if call["body"] is not None:
            return base64.b64decode(call["body"])
        bucket, key = split_s3(call["members"]["InputLocation"])
        found = [size for name, size in self._plane.objects.list(bucket, key) if name == key]
        if found and found[0] > PAYLOAD_BYTES:
            raise Fault("ValidationError", f"The input has more than {PAYLOAD_BYTES} bytes.")
        return self._plane.objects.read(bucket, key)

    def _finish(self, name: str, call: dict[str, Any], answer: Answer) -> None:
        bucket, key = split_s3(call["output"])
        content_type = answer.headers.get("content-type")
        self._plane.objects.write(bucket, key, answer.body, content_type)
        self._plane.records.delete(KIND, name)

    def _end(self, name: str, call: dict[str, Any], reason: str) -> None:
        """Note a failure, unless the container only failed because the plane ends."""
        if not self._stop.is_set():
            self._fail(name, call, reason)

    def _fail(self, name: str, call: dict[str, Any], reason: str) -> None:
        group = log_group(call["endpoint"])
        with self._plane.logs.writer(group, "data-log") as log:
            log.write_line(f"{call['inference_id']}: {reason}")
        if call["failure"] is not None:
            bucket, key = split_s3(call["failure"])
            try:
                self._plane.objects.write(bucket, key, reason.encode(), "text/plain")
            except FileNotFoundError:
                LOG.warning("%s: there is no bucket for its failure", call["inference_id"])
        self._plane.records.delete(KIND, name)


class _Line:
    """The calls of one endpoint that wait, and the threads that take them; None ends a thread."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._workers = 0

    def resize(self, workers: int, work: Any) -> None:
        """Have so many threads take calls."""
        for _ in range(workers - self._workers):
            threading.Thread(
                target=work, args=(self,), name=f"async {self.endpoint}", daemon=True
            ).start()
        for _ in range(self._workers - workers):
            self.waiting.put(None)
        self._workers = workers
