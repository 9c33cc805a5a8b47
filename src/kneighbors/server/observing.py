"""What is learned from answers about how good they are, beside the answers' way."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet, ref

from kneighbors.server.drift import Drift
from kneighbors.server.lifecycle import Endpoint
from kneighbors.server.logs import LOG
from kneighbors.server.rechecking import Rechecks
from kneighbors.server.spare import SpareTime
from kneighbors.server.telemetry import Telemetry
from kneighbors.server.workpool import Hold

if TYPE_CHECKING:
    from kneighbors.sagemaker.model import Model
    from kneighbors.sagemaker.query import Found, Query


class Observer:
    """Looks at what one worker answers by its one model.

    Parameters
    ----------
    telemetry : Telemetry
    endpoint : Endpoint
        Which is told when the artifact turns out to be at fault.
    recheck_share : float
        Of approximate answers, searched for again exactly.
    drift_every : int, default=4
        Of so many requests, one is looked at for drift: all would cost more than they tell.

    Notes
    -----
    All methods belong to the event loop's thread. What they see has passed the gate, so nothing
    that a client sends makes a statistic useless.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        endpoint: Endpoint,
        recheck_share: float,
        *,
        drift_every: int = 4,
    ) -> None:
        self._drift_every = self._until_drift = drift_every
        self._spare = SpareTime()
        self._rechecks = Rechecks(telemetry, self._spare, recheck_share, endpoint.fail)
        self._drift = Drift(telemetry, self._spare, endpoint.fail)
        self._current: ref[Model] | None = None
        self._retired: WeakSet[Model] = WeakSet()

    def saw(self, model: Model, query: Query, found: Found, hold: Hold) -> None:
        """Take note of an answer; some microseconds.

        Of a model that takes the place of another nothing is known: its statistics begin anew, and
        late answers of the other do not count.
        """
        try:
            self._take_note(model, query, found, hold)
        except Exception:  # no request is to fail for what nobody asked for
            LOG.exception("an answer could not be taken note of")

    def _take_note(self, model: Model, query: Query, found: Found, hold: Hold) -> None:
        current = None if self._current is None else self._current()
        if model is not current:
            if model in self._retired:
                return
            if current is not None:
                self._retired.add(current)
            self._current = ref(model)
            self._rechecks.forget()
            self._drift.begin(model, hold)
        if found.missing is not None:  # its distances are those of other neighbours
            return
        self._until_drift -= 1
        if self._until_drift <= 0:
            self._until_drift = self._drift_every
            self._drift.saw(query, found)
        if not getattr(model.index, "is_exact", True):  # shards are searched exactly
            self._rechecks.saw(model, query, found, hold)

    def stop(self) -> None:
        """End what is done in spare time."""
        self._spare.stop()
