"""What ``/healthz`` says: each thing that has to be well, how it is, and why.

It is for people and for what watches over a server. Nothing in it names a path, a version or a
secret: what goes deeper is in the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kneighbors.server.board import Board, State
from kneighbors.server.derived import LEAST_CHECKS, LEAST_QUERIES
from kneighbors.server.service import Service

#: From well to ill. What is starting or ill makes the answer 503, as that of ``/ping`` is.
STATES = ("ok", "degraded", "starting", "ill")
_FAILING = ("starting", "ill")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be well.

    Parameters
    ----------
    name, state, why : str
        The state is one of `STATES`.
    """

    name: str
    state: str
    why: str

    @property
    def is_failing(self) -> bool:
        """Whether the server had better get no requests."""
        return self.state in _FAILING


def health(service: Service) -> tuple[int, dict[str, Any]]:
    """Return the status of the answer, and the answer.

    Parameters
    ----------
    service : Service
        Of the worker that was asked. Of the others is known what is on the board.
    """
    checks = [_model(service), _workers(service.endpoint.slot.board), _queue(service)]
    if service.models is None:
        checks += _measured(service)
    worst = max((check.state for check in checks), key=STATES.index)
    is_open = service.endpoint.slot.is_open and not any(check.is_failing for check in checks)
    return 200 if is_open else 503, {
        "status": worst,
        "generation": service.endpoint.facts.get("generation", ""),
        "checks": [{"name": one.name, "state": one.state, "why": one.why} for one in checks],
    }


def _model(service: Service) -> Check:
    state = service.endpoint.slot.state
    if state is State.READY:
        is_one = service.models is None
        why = "it has answered its first query" if is_one else "requests load and unload models"
        return Check("model", "ok", why)
    if state is State.FAILED:
        return Check(
            "model", "ill", "it could not be loaded, or turned out to be damaged: see the log"
        )
    if state is State.STOPPING:
        return Check("model", "ill", "the server was told to stop")
    return Check("model", "starting", "it is being loaded")


def _workers(board: Board) -> Check:
    ready, failed = board.count(State.READY), board.count(State.FAILED)
    why = f"{ready} of {board.workers} answer"
    if failed:
        why += f", {failed} could not load the model or found it damaged: see the log"
    if ready == board.workers:
        return Check("workers", "ok", why)
    if not board.opened:
        return Check("workers", "ill" if failed else "starting", why)
    # One that ended is replaced; while others answer, so does the server.
    return Check("workers", "degraded" if ready else "ill", why)


def _queue(service: Service) -> Check:
    waiting, most = service.pool.waiting, service.settings.max_waiting
    is_full = waiting >= max(1, most)
    why = f"{waiting} of at most {most} requests wait in this worker"
    return Check("queue", "degraded" if is_full else "ok", why)


def _measured(service: Service) -> Iterator[Check]:
    """Say what is known of the answers; how much is too little is for the operator's alerts."""
    measured = service.telemetry.measured()
    recall, checks = (
        measured["kneighbors_index_recall"],
        int(measured["kneighbors_index_recall_checks"] or 0),
    )
    if recall is not None:
        yield Check("index_recall", "ok", f"{recall:.4f}, of the last {checks} answers checked")
    elif checks:
        yield Check("index_recall", "ok", f"{checks} of {LEAST_CHECKS} answers are checked yet")
    drift = measured["kneighbors_query_drift"]
    queries = int(measured["kneighbors_query_drift_queries"] or 0)
    if drift is not None:
        yield Check("query_drift", "ok", f"{drift:.3f}, of the last {queries} queries")
    elif queries:
        yield Check("query_drift", "ok", f"{queries} of {LEAST_QUERIES} queries are seen yet")
