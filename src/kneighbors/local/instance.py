"""One instance behind an endpoint: its containers, and calls through them."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kneighbors.local.deployment import FleetFailed, VariantPlan
from kneighbors.local.images import UnknownImage
from kneighbors.local.model_data import place
from kneighbors.local.multi_model import LoadedModels
from kneighbors.local.removal import remove_tree
from kneighbors.local.runtime_faults import (
    log_group,
    model_error,
    refused,
    timed_out,
    too_long,
)
from kneighbors.local.served import Answer, AnswerTimedOut, AnswerTooLong, NoAnswer, Served

if TYPE_CHECKING:
    from pathlib import Path

    from urllib3 import BaseHTTPResponse

    from kneighbors.local.logs import LogWriter
    from kneighbors.local.plane import Plane

_POLL_S = 0.05
_PARAMETERS_TIMEOUT_S = 10.0

#: Headers of an answer that tell the next container of a pipeline what it gets.
_PASSED_ON = {"content-type": "Content-Type"}


@dataclass(frozen=True, slots=True)
class Message:
    """A call on its way to a container.

    Parameters
    ----------
    headers : mapping of str to str
        Those that the platform lets through.
    body : bytes
    target_model : str or None
    target_host : str or None
        Of a container that is called directly.
    """

    headers: Mapping[str, str]
    body: bytes
    target_model: str | None = None
    target_host: str | None = None


class Instance:
    """Containers that run together and are replaced together.

    Parameters
    ----------
    plane : Plane
    endpoint : str
    plan : VariantPlan
    home : Path, optional
        Its directory, where it serves something else than an endpoint; `log` likewise.
    log : LogWriter, optional

    Attributes
    ----------
    id : str
    outstanding : int
        Calls under way; for whoever chooses among instances.
    failed_pings : int
        In a row; likewise.
    """

    def __init__(
        self,
        plane: Plane,
        endpoint: str,
        plan: VariantPlan,
        home: Path | None = None,
        log: LogWriter | None = None,
    ) -> None:
        self.id = f"i-{secrets.token_hex(9)[:17]}"
        self.outstanding = 0
        self.failed_pings = 0
        self._plane = plane
        self._endpoint = endpoint
        self._plan = plan
        self._home = home or plane.root / "containers/endpoint" / endpoint / self.id
        self._log = log or plane.logs.writer(log_group(endpoint), f"{plan.name}/{self.id}")
        self._containers: list[Served] = []
        self._models: LoadedModels | None = None

    def start(self, stop: threading.Event, startup_timeout_s: float | None = None) -> None:
        """Start the containers and return when all are well.

        Parameters
        ----------
        stop : threading.Event
            Set when nobody waits for it any more.
        startup_timeout_s : float, optional
            In place of the plan's.

        Raises
        ------
        FleetFailed
            If one cannot be started, ends, or is not well in time; nothing is left running.
        """
        timeout_s = startup_timeout_s or self._plan.startup_timeout_s
        try:
            for number in range(len(self._plan.containers)):
                self._containers.append(self._place(number))
            for served in self._containers:
                served.start()
            deadline = time.monotonic() + timeout_s
            for served in self._containers:
                self._wait_until_well(served, deadline, stop)
        except BaseException:
            self.stop(0.0)
            raise

    def has_ended(self) -> bool:
        """Tell whether a container's process has ended."""
        return any(served.exit_code is not None for served in self._containers)

    def ping(self) -> bool:
        """Tell whether all containers say that they are well."""
        return all(served.ping() for served in self._containers)

    def execution_parameters(self) -> Answer | None:
        """Return what the first container says of batch transform; None if it says nothing."""
        try:
            answer = self._containers[0].get("/execution-parameters", _PARAMETERS_TIMEOUT_S)
        except (NoAnswer, AnswerTimedOut, AnswerTooLong):
            return None
        return answer if answer.status == 200 else None

    def send(self, message: Message, timeout_s: float, limit: int) -> Answer:
        """Return the answer of the last container.

        Raises
        ------
        Fault
            ``ModelError`` if one answers with an error, with too much, too late or not at all.
        """
        deadline = time.monotonic() + timeout_s
        if self._models is not None:
            return self._models.send(message, deadline, limit)
        headers, body = dict(message.headers), message.body
        for served in self._hops(message):
            answer = self._ask(served, headers, body, deadline, limit)
            headers |= {
                name: answer.headers[key]
                for key, name in _PASSED_ON.items()
                if key in answer.headers
            }
            body = answer.body
        return answer

    def open(self, message: Message, timeout_s: float) -> tuple[Served, BaseHTTPResponse]:
        """Return the last container and its answer, of which only the headers are there.

        Raises
        ------
        Fault
            As of `send`, for what is known by then.
        """
        if self._models is not None:
            raise refused(f"Endpoint {self._endpoint} is a multi-model endpoint and cannot stream.")
        served = self._hops(message)[-1]
        deadline = time.monotonic() + timeout_s
        headers, body = dict(message.headers), message.body
        for earlier in self._hops(message)[:-1]:
            answer = self._ask(earlier, headers, body, deadline, 1 << 30)
            headers, body = (
                headers | {"Content-Type": answer.headers.get("content-type", "")},
                (answer.body),
            )
        try:
            response = served.open("/invocations", headers, body, deadline - time.monotonic())
        except (NoAnswer, AnswerTimedOut, AnswerTooLong) as error:
            raise self.fault(served, error) from error
        if response.status >= 300:
            said = response.read(1 << 20)
            response.close()
            raise model_error(self._plane, self._endpoint, served.label, response.status, said)
        return served, response

    def fault(self, served: Served, error: Exception, limit: int = 0) -> Exception:
        """Return what a client is told of a container that gave no usable answer."""
        plane, endpoint = self._plane, self._endpoint
        if isinstance(error, AnswerTimedOut):
            return timed_out(plane, endpoint, served.label)
        if isinstance(error, AnswerTooLong):
            return too_long(plane, endpoint, served.label, error.status, limit)
        code = served.exit_code
        what = "closed the connection" if code is None else f"ended with exit code {code}"
        said = f"The container {served.label} {what} before it had answered."
        return model_error(plane, endpoint, served.label, 0, said.encode())

    def stop(self, grace_s: float = 30.0) -> None:
        """End the containers and remove what they had on the disk."""
        ending = [
            threading.Thread(target=served.stop, args=(grace_s,), daemon=True)
            for served in self._containers
        ]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
        self._log.close()
        remove_tree(self._home)

    def _ask(
        self, served: Served, headers: Mapping[str, str], body: bytes, deadline: float, limit: int
    ) -> Answer:
        try:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AnswerTimedOut
            answer = served.send("/invocations", headers, body, left, limit)
        except (NoAnswer, AnswerTimedOut, AnswerTooLong) as error:
            raise self.fault(served, error, limit) from error
        if not 200 <= answer.status < 300:
            raise model_error(self._plane, self._endpoint, served.label, answer.status, answer.body)
        return answer

    def _hops(self, message: Message) -> list[Served]:
        if not self._plan.is_direct:
            if message.target_host is not None:
                raise refused(
                    f"Endpoint {self._endpoint} does not support the target container hostname "
                    "header: its containers are a pipeline."
                )
            return self._containers
        for served in self._containers:
            if served.label == message.target_host:
                return [served]
        names = ", ".join(served.label for served in self._containers)
        raise refused(
            f"Endpoint {self._endpoint} needs a target container hostname header, one of {names}; "
            f"got {message.target_host}."
        )

    def _place(self, number: int) -> Served:
        """Return a container that is ready to be started, its model data in place."""
        definition = self._plan.containers[number]
        home = self._home if len(self._plan.containers) == 1 else self._home / str(number + 1)
        is_many = definition.get("Mode") == "MultiModel"
        if is_many:
            (home / "opt/ml/models").mkdir(parents=True)
        else:
            place(self._plane.objects, definition, home, f"container_{number + 1}")
        try:
            served = Served(self._plane, self._label(number), definition, home, self._log)
        except UnknownImage as error:
            raise FleetFailed(str(error)) from error
        if is_many:
            self._models = LoadedModels(self._plane, self._endpoint, served, self.fault)
        return served

    def _label(self, number: int) -> str:
        if len(self._plan.containers) == 1:
            return "primary"
        given: str = self._plan.containers[number].get(
            "ContainerHostname", f"container_{number + 1}"
        )
        return given

    def _wait_until_well(self, served: Served, deadline: float, stop: threading.Event) -> None:
        for wait_s in _growing():
            if served.ping():
                return
            code = served.exit_code
            if code is not None:
                raise self._not_well(served, f" Its process ended with exit code {code}.")
            if stop.is_set():
                raise FleetFailed("The control plane was stopped before it was ready.")
            if time.monotonic() > deadline:
                raise self._not_well(served, "")
            stop.wait(wait_s)

    def _not_well(self, served: Served, why: str) -> FleetFailed:
        return FleetFailed(
            f"The {served.label} container for production variant {self._plan.name} did not pass "
            f"the ping health check. Please check CloudWatch logs for this endpoint.{why}"
        )


def _growing() -> Iterator[float]:
    """Yield pauses between two pings: short at first, for most containers start in a second."""
    pause = _POLL_S
    while True:
        yield pause
        pause = min(pause * 1.2, 1.0)
