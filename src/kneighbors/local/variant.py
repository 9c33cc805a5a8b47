"""A production variant: equal instances, among which calls are spread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kneighbors.local.deployment import FleetFailed, VariantPlan
from kneighbors.local.instance import Instance
from kneighbors.local.runtime_faults import unavailable

if TYPE_CHECKING:
    from kneighbors.local.hosting_settings import HostingSettings
    from kneighbors.local.plane import Plane

LOG = logging.getLogger("kneighbors.local")

#: Pings in a row that an instance without calls may fail before it is replaced.
_FAILED_PINGS = 3
_LONGEST_PAUSE_S = 30.0


class Closed(Exception):
    """A variant that takes no calls any more: another fleet does."""


class Variant:
    """The instances of one production variant; safe to use from several threads.

    Parameters
    ----------
    plane : Plane
    endpoint : str
    plan : VariantPlan
    settings : HostingSettings
    stop : threading.Event
        Set when the control plane ends.

    Attributes
    ----------
    plan : VariantPlan
    """

    def __init__(
        self,
        plane: Plane,
        endpoint: str,
        plan: VariantPlan,
        settings: HostingSettings,
        stop: threading.Event,
    ) -> None:
        self.plan = plan
        self._plane = plane
        self._endpoint = endpoint
        self._settings = settings
        self._stop = stop
        self._changed = threading.Condition()
        self._ready: list[Instance] = []
        self._is_closed = False
        self._pinged_at = 0.0

    def start(self) -> None:
        """Bring up all instances.

        Raises
        ------
        FleetFailed
            If one cannot be; none is left running.
        """
        self._add(self.plan.count)

    @property
    def count(self) -> int:
        """How many instances take calls."""
        return len(self._ready)

    def acquire(self) -> Instance:
        """Return the instance with the fewest calls under way; `release` is to follow.

        Raises
        ------
        Closed
            If the variant has been replaced.
        Fault
            ``ServiceUnavailable`` if none of its instances is well.
        """
        with self._changed:
            if self._is_closed:
                raise Closed
            if not self._ready:
                raise unavailable(
                    f"No instance of variant {self.plan.name} of endpoint {self._endpoint} is in "
                    "service at the moment."
                )
            chosen = min(self._ready, key=lambda instance: instance.outstanding)
            chosen.outstanding += 1
            # The last among equals, so that those take turns.
            self._ready.remove(chosen)
            self._ready.append(chosen)
            return chosen

    def release(self, instance: Instance) -> None:
        """Note that a call has ended."""
        with self._changed:
            instance.outstanding -= 1
            self._changed.notify_all()

    def scale(self, plan: VariantPlan) -> None:
        """Take on a plan that differs in weight and count only.

        Raises
        ------
        FleetFailed
            If more instances cannot be brought up; there are as many as before.
        """
        more = plan.count - self.plan.count
        if more > 0:
            self._add(more)
        self.plan = plan
        with self._changed:
            kept, removed = self._ready[: plan.count], self._ready[plan.count :]
            self._ready = kept
        self._drain(removed, self._settings.drain_s)
        _at_once([one.stop for one in removed])

    def check(self) -> None:
        """Replace what is not well any more."""
        with self._changed:
            instances = list(self._ready)
        is_due = time.monotonic() - self._pinged_at >= self._settings.ping_s
        for instance in instances:
            if instance.has_ended() or (is_due and self._is_sick(instance)):
                self._replace(instance)
        if is_due:
            self._pinged_at = time.monotonic()

    def close(self, drain_s: float, grace_s: float = 30.0) -> None:
        """Take no calls any more, let those under way end, and end the instances."""
        with self._changed:
            self._is_closed = True
            instances, self._ready = self._ready, []
        self._drain(instances, drain_s)
        _at_once([partial(one.stop, grace_s) for one in instances])

    def _add(self, count: int) -> None:
        fresh = [Instance(self._plane, self._endpoint, self.plan) for _ in range(count)]
        failure = _start(fresh, self._stop, self._settings.startup_timeout_s)
        if failure is not None:
            for instance in fresh:
                instance.stop(0.0)
            raise failure
        with self._changed:
            if not self._is_closed:
                self._ready += fresh
                return
        for instance in fresh:
            instance.stop(0.0)

    def _is_sick(self, instance: Instance) -> bool:
        # A server that works on a call may have nobody left to answer a ping.
        if instance.ping() or instance.outstanding:
            instance.failed_pings = 0
        else:
            instance.failed_pings += 1
        return instance.failed_pings >= _FAILED_PINGS

    def _replace(self, instance: Instance) -> None:
        with self._changed:
            if self._is_closed or instance not in self._ready:
                return
            self._ready.remove(instance)
        LOG.warning("endpoint %s: replacing instance %s", self._endpoint, instance.id)
        threading.Thread(
            target=self._put_another, args=(instance,), name=f"replacing {instance.id}", daemon=True
        ).start()

    def _put_another(self, instance: Instance) -> None:
        instance.stop(1.0)
        pause = 1.0
        while not (self._is_closed or self._stop.is_set()) and self.count < self.plan.count:
            try:
                self._add(1)
                return
            except FleetFailed as error:
                LOG.warning("endpoint %s: %s", self._endpoint, error.reason)
            self._stop.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _drain(self, instances: list[Instance], drain_s: float) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: not any(instance.outstanding for instance in instances), drain_s
            )


def _start(
    instances: Sequence[Instance], stop: threading.Event, timeout_s: float | None
) -> FleetFailed | None:
    """Start instances at the same time; return why the first of them failed."""
    failures: list[FleetFailed | None] = [None] * len(instances)

    def start(place: int) -> None:
        try:
            instances[place].start(stop, timeout_s)
        except FleetFailed as error:
            failures[place] = error
        except Exception as error:
            LOG.exception("an instance could not be started")
            failures[place] = FleetFailed(f"The instance could not be started: {error}.")

    _at_once([partial(start, place) for place in range(len(instances))])
    return next((error for error in failures if error is not None), None)


def _at_once(jobs: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
