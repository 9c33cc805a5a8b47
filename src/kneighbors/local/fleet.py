"""What serves an endpoint: the variants of one configuration, with the calls spread by weight."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kneighbors.local.deployment import DeploymentPlan, FleetFailed, VariantPlan
from kneighbors.local.runtime_faults import refused
from kneighbors.local.serverless import ServerlessVariant
from kneighbors.local.variant import Variant

if TYPE_CHECKING:
    from kneighbors.local.hosting_settings import HostingSettings
    from kneighbors.local.plane import Plane

LOG = logging.getLogger("kneighbors.local")


class Fleet:
    """The variants of an endpoint; safe to use from several threads.

    Parameters
    ----------
    plane : Plane
    endpoint : str
    plan : DeploymentPlan
    settings : HostingSettings
    stop : threading.Event
        Set when the control plane ends.

    Attributes
    ----------
    plan : DeploymentPlan
    variants : list of Variant
    """

    def __init__(
        self,
        plane: Plane,
        endpoint: str,
        plan: DeploymentPlan,
        settings: HostingSettings,
        stop: threading.Event,
    ) -> None:
        self.plan = plan
        self.variants = [
            (ServerlessVariant if one.serverless else Variant)(plane, endpoint, one, settings, stop)
            for one in plan.variants
        ]
        self._endpoint = endpoint
        self._settings = settings
        self._stop = stop
        self._lock = threading.Lock()
        self._credit = [0.0] * len(self.variants)
        self._closed = threading.Event()

    def start(self) -> None:
        """Bring up all variants, and watch them from then on.

        Raises
        ------
        FleetFailed
            If one of them cannot be; nothing is left running.
        """
        try:
            for variant in self.variants:
                variant.start()
        except FleetFailed:
            self.close(0.0, 0.0)
            raise
        threading.Thread(target=self._watch, name=f"watch {self._endpoint}", daemon=True).start()

    def choose(self, name: str | None) -> Variant:
        """Return the variant for the next call.

        Parameters
        ----------
        name : str or None
            The variant that the call asks for.

        Notes
        -----
        Without a name each variant's share of any run of calls is that of its weight, but for one
        call: who is owed most comes next.
        """
        if name is not None:
            for variant in self.variants:
                if variant.plan.name == name:
                    return variant
            raise refused(f"Variant {name} of endpoint {self._endpoint} not found.")
        if len(self.variants) == 1:
            return self.variants[0]
        with self._lock:
            return self.variants[
                next_by_weight(self._credit, [v.plan.weight for v in self.variants])
            ]

    def scale(self, variants: list[VariantPlan]) -> None:
        """Change weights and counts.

        Raises
        ------
        FleetFailed
            If a variant cannot grow; those before it have changed.
        """
        for variant, plan in zip(self.variants, variants, strict=True):
            variant.scale(plan)
        self.plan = DeploymentPlan(self.plan.config, variants, self.plan.asynchronous)

    def close(self, drain_s: float, grace_s: float = 30.0) -> None:
        """Let the calls under way end, then end all instances."""
        self._closed.set()
        threads = [
            threading.Thread(target=variant.close, args=(drain_s, grace_s), daemon=True)
            for variant in self.variants
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _watch(self) -> None:
        while not (self._closed.wait(self._settings.watch_s) or self._stop.is_set()):
            for variant in self.variants:
                try:
                    variant.check()
                except Exception:
                    LOG.exception("endpoint %s: a check failed", self._endpoint)


def next_by_weight(credit: list[float], weights: Sequence[float]) -> int:
    """Return whose turn it is, and note it in `credit`; all are equal where no weight is above 0.

    Examples
    --------
    >>> credit = [0.0, 0.0]
    >>> [next_by_weight(credit, [3, 1]) for _ in range(8)]
    [0, 0, 1, 0, 0, 0, 1, 0]
    """
    total = sum(weights)
    if total <= 0:
        weights, total = [1.0] * len(credit), float(len(credit))
    for place, weight in enumerate(weights):
        credit[place] += weight
    chosen = max(range(len(credit)), key=credit.__getitem__)
    credit[chosen] -= total
    return chosen
