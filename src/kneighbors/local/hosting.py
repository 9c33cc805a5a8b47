"""The life of endpoints: created, updated without a gap, scaled, removed, and back after a restart.

A fleet that is to serve is brought up whole before the endpoint's name points to it, which is one
assignment; the one before it goes on until then, and ends when its calls have.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kneighbors.local.async_calls import AsyncCalls
from kneighbors.local.deployment import DeploymentPlan, FleetFailed, VariantPlan
from kneighbors.local.fleet import Fleet
from kneighbors.local.hosting_settings import HostingSettings
from kneighbors.local.records import written_at_last
from kneighbors.local.removal import remove_tree

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane
    from kneighbors.local.running import Task

LOG = logging.getLogger("kneighbors.local")
KIND = "endpoint"
_INTERRUPTED = (
    "The update was interrupted, for the control plane ended; the endpoint is as it was before."
)


class Hosting:
    """The endpoints of a plane; safe to use from several threads.

    Parameters
    ----------
    plane : Plane
    settings : HostingSettings

    Attributes
    ----------
    settings : HostingSettings
    calls : AsyncCalls
        Asynchronous calls that wait or are under way.
    """

    def __init__(self, plane: Plane, settings: HostingSettings) -> None:
        self.settings = settings
        self.calls = AsyncCalls(plane)
        self._plane = plane
        self._stop = threading.Event()
        self._fleets: dict[str, Fleet] = {}

    def fleet(self, endpoint: str) -> Fleet | None:
        """Return what serves an endpoint now; None if nothing does."""
        return self._fleets.get(endpoint)

    def create(self, endpoint: str, plan: DeploymentPlan, failure: str | None = None) -> None:
        """Bring an endpoint up, in a thread of its own; its record tells how it went.

        Parameters
        ----------
        endpoint : str
        plan : DeploymentPlan
        failure : str, optional
            What the record is to tell although the endpoint comes into service.
        """
        self._begin(endpoint, lambda: self._create(endpoint, plan, failure))

    def update(self, endpoint: str, plan: DeploymentPlan) -> None:
        """Bring up another fleet and let it take over, in a thread of its own."""
        self._begin(endpoint, lambda: self._update(endpoint, plan))

    def scale(self, endpoint: str, variants: list[VariantPlan]) -> None:
        """Change weights and counts, in a thread of its own."""
        self._begin(endpoint, lambda: self._scale(endpoint, variants))

    def remove(self, endpoint: str) -> None:
        """End an endpoint and then forget it, in a thread of its own."""
        self._begin(endpoint, lambda: self._remove(endpoint))

    def close(self, grace_s: float = 10.0) -> None:
        """End all containers, for the plane ends; the records stay."""
        self._stop.set()
        self.calls.close()
        fleets, self._fleets = list(self._fleets.values()), {}
        threads = [
            threading.Thread(target=fleet.close, args=(0.0, grace_s), daemon=True)
            for fleet in fleets
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _begin(self, endpoint: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except Exception as error:
                LOG.exception("endpoint %s", endpoint)
                status = "InService" if endpoint in self._fleets else "Failed"
                self._note(endpoint, status, FailureReason=f"The control plane failed: {error}.")

        threading.Thread(target=run, name=f"endpoint {endpoint}", daemon=True).start()

    def _create(self, endpoint: str, plan: DeploymentPlan, failure: str | None) -> None:
        try:
            fleet = self._brought_up(endpoint, plan)
        except FleetFailed as error:
            self._note(endpoint, "Failed", FailureReason=error.reason)
            return
        self._serve(endpoint, fleet, failure)

    def _update(self, endpoint: str, plan: DeploymentPlan) -> None:
        try:
            fleet = self._brought_up(endpoint, plan)
        except FleetFailed as error:
            self._note(endpoint, "InService", FailureReason=error.reason)
            return
        old = self._fleets[endpoint]
        self._serve(endpoint, fleet, None)
        old.close(self.settings.drain_s)

    def _scale(self, endpoint: str, variants: list[VariantPlan]) -> None:
        fleet = self._fleets[endpoint]
        before = fleet.plan.variants
        try:
            fleet.scale(variants)
        except FleetFailed as error:
            fleet.scale(before)
            self._serve(endpoint, fleet, error.reason)
            return
        self._serve(endpoint, fleet, None)

    def _remove(self, endpoint: str) -> None:
        fleet = self._fleets.pop(endpoint, None)
        self.calls.forget(endpoint)
        if fleet is not None:
            fleet.close(0.0, grace_s=5.0)
        remove_tree(self._plane.root / "containers/endpoint" / endpoint)
        records = self._plane.records
        written_at_last(lambda: records.delete(KIND, endpoint), self._stop.is_set)

    def _brought_up(self, endpoint: str, plan: DeploymentPlan) -> Fleet:
        fleet = Fleet(self._plane, endpoint, plan, self.settings, self._stop)
        fleet.start()
        return fleet

    def _serve(self, endpoint: str, fleet: Fleet, failure: str | None) -> None:
        """Point an endpoint's name to a fleet, and note it."""
        if self._stop.is_set():
            fleet.close(0.0, 0.0)
            return
        plan = fleet.plan
        if plan.asynchronous is not None:
            # Before the first call can be taken on: a line begins with what the records hold.
            self.calls.open(endpoint, plan)
        self._fleets[endpoint] = fleet
        self._note(
            endpoint,
            "InService",
            EndpointConfigName=plan.config,
            AsyncInferenceConfig=plan.asynchronous,
            FailureReason=failure,
            _serving=plan.as_document(),
        )

    def _note(self, endpoint: str, status: str, **members: Any) -> None:
        if self._stop.is_set():
            return  # what the record says now is what the next start has to deal with
        change = {"EndpointStatus": status, "LastModifiedTime": time.time(), **members}
        records = self._plane.records
        written_at_last(lambda: records.update(KIND, endpoint, change), self._stop.is_set)


def resume(plane: Plane) -> None:
    """Give a plane its endpoints: those of its records are brought up again.

    An update that was under way has not happened; a deletion goes on.
    """
    settings = HostingSettings.from_environment(os.environ)
    plane.hosting = hosting = Hosting(plane, settings)
    remove_tree(plane.root / "containers/endpoint")
    for name, document in list(plane.records.all(KIND)):
        _resume(plane, name, document)

    def end_with_plane(task: Task) -> None:
        task.stop.wait()
        hosting.close()

    plane.running.start("hosting", "endpoints", end_with_plane)


def _resume(plane: Plane, name: str, document: dict[str, Any]) -> None:
    status = document["EndpointStatus"]
    if status == "Deleting":
        plane.hosting.remove(name)
    elif status != "Failed" or document.get("_serving"):
        # One that has served and then did not come back may do so now, say with its image.
        plan = DeploymentPlan.from_document(document.get("_serving") or document["_wanted"])
        plane.records.update(KIND, name, {"EndpointStatus": "Creating"})
        plane.hosting.create(name, plan, _INTERRUPTED if status == "Updating" else None)
