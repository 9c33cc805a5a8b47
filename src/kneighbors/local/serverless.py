"""A serverless variant: no container while nobody calls, and a bound on calls at once."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from kneighbors.local.deployment import FleetFailed, VariantPlan
from kneighbors.local.runtime_faults import model_error, throttled
from kneighbors.local.variant import Variant

if TYPE_CHECKING:
    from kneighbors.local.instance import Instance

#: For download and the first good ping.
STARTUP_TIMEOUT_S = 180

#: Most bytes of a request and of an answer.
PAYLOAD_BYTES = 4 << 20


class ServerlessVariant(Variant):
    """A variant that has one container, or none after a while without calls.

    On AWS calls at once may get containers of their own; here they share one. ``MemorySizeInMB``
    is noted and not enforced.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._used_at = time.monotonic()
        self._waking = threading.Lock()
        self._calls = 0

    def start(self) -> None:
        """Bring up a container, so that a model that cannot be served is found out."""
        super().start()
        self._used_at = time.monotonic()

    def acquire(self) -> Instance:
        """Return the container, which is started if there is none.

        Raises
        ------
        Closed
            If the variant has been replaced.
        Fault
            ``ThrottlingException`` beyond the configuration's ``MaxConcurrency``; ``ModelError``
            if the container cannot be started.
        """
        with self._changed:
            if self._calls >= self._config["MaxConcurrency"]:
                raise throttled()
            self._calls += 1
        try:
            with self._waking:
                self._wake()
                return super().acquire()
        except BaseException:
            with self._changed:
                self._calls -= 1
            raise

    def release(self, instance: Instance) -> None:
        """Note that a call has ended."""
        with self._changed:
            self._calls -= 1
            self._used_at = time.monotonic()
        super().release(instance)

    def scale(self, plan: VariantPlan) -> None:
        """Take on a plan with another bound on calls at once, or another weight."""
        self.plan = plan

    def check(self) -> None:
        """End the container if it is not well any more, or has been idle for long."""
        with self._changed:
            idle_s = time.monotonic() - self._used_at
            is_idle = not self._calls and idle_s >= self._settings.serverless_idle_s
            is_idle = is_idle and not self._config.get("ProvisionedConcurrency")
            ended = [one for one in self._ready if is_idle or one.has_ended()]
            self._ready = [one for one in self._ready if one not in ended]
        for instance in ended:
            instance.stop()

    @property
    def _config(self) -> dict[str, Any]:
        return self.plan.serverless or {}

    def _wake(self) -> None:
        if self._ready or self._is_closed:
            return
        try:
            self._add(1)
        except FleetFailed as error:
            said = error.reason.encode()
            raise model_error(self._plane, self._endpoint, "primary", 0, said) from error
