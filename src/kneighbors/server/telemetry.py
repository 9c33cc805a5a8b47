"""Metrics in Prometheus's text format, summed over all workers.

Names, labels and label values are fixed by the tables here, so that no client can make a metric
grow; each value has its place in the worker's row of the board, and counting is one addition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from kneighbors.server.board import Board, Slot, State
from kneighbors.server.statuses import STATUS_OF_CODE, STATUSES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Name of a path as a label; what is asked for beside these is "other".
ROUTES = (
    *("ping", "invocations", "execution-parameters", "metrics", "openapi"),
    *("models", "model", "model-invoke", "explorer", "other"),
)

#: What the time of an invocation is spent on, in this order.
STAGES = ("body", "queue", "read", "search", "write")

_SECONDS = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
_QUERIES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0, 16384.0)

_REQUESTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Parameters
    ----------
    name, kind, help : str
        As Prometheus has them.
    labels : mapping of str to tuple of str
        Every label with all its values.
    bounds : tuple of float
        Upper bounds of a histogram's buckets, without infinity.
    """

    name: str
    kind: str
    help: str
    labels: Mapping[str, Labels]
    bounds: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Numbers for one set of labels: one, or the buckets, the last one, and the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


FAMILIES = (
    Family(
        "kneighbors_requests_total",
        "counter",
        "Requests that were answered, by path and status.",
        {"route": ROUTES, "status": (*map(str, STATUSES), "other")},
    ),
    Family(
        "kneighbors_errors_total",
        "counter",
        "Errors that were answered, by code.",
        {"code": (*sorted(STATUS_OF_CODE), "other")},
    ),
    Family("kneighbors_disconnects_total", "counter", "Clients that left before the answer.", {}),
    Family(
        "kneighbors_request_seconds",
        "histogram",
        "From the end of a request's headers to the end of its answer.",
        {"route": ("ping", "invocations", "model-invoke")},
        _SECONDS,
    ),
    Family(
        "kneighbors_stage_seconds",
        "histogram",
        "What the time of an invocation was spent on.",
        {"stage": STAGES},
        _SECONDS,
    ),
    Family(
        "kneighbors_request_queries",
        "histogram",
        "Queries in an invocation that was answered.",
        {},
        _QUERIES,
    ),
    Family(
        "kneighbors_batch_queries",
        "histogram",
        "Queries that were searched for together.",
        {},
        _QUERIES,
    ),
    Family(
        "kneighbors_batch_requests",
        "histogram",
        "Requests that were searched for together.",
        {},
        _REQUESTS,
    ),
    Family("kneighbors_body_bytes_total", "counter", "Bytes of invocations' bodies.", {}),
    Family("kneighbors_answer_bytes_total", "counter", "Bytes of invocations' answers.", {}),
    Family("kneighbors_in_flight", "gauge", "Requests that are being answered.", {}),
    Family("kneighbors_waiting", "gauge", "Requests that wait for a thread, or for a batch.", {}),
    Family("kneighbors_models_open", "gauge", "Models that are open, over all workers.", {}),
    Family("kneighbors_buffered_bytes", "gauge", "Bytes of bodies that are held.", {}),
)


def _layout() -> tuple[dict[tuple[str, Labels], int], int]:
    places: dict[tuple[str, Labels], int] = {}
    total = 0
    for family in FAMILIES:
        for values in product(*family.labels.values()):
            places[family.name, values] = total
            total += family.size
    return places, total


_PLACES, NUMBERS = _layout()
_BOUNDS = {family.name: family.bounds for family in FAMILIES}


class Telemetry:
    """What one worker counts.

    Parameters
    ----------
    slot : Slot
        Its row of the board, `NUMBERS` wide. Only the event loop's thread may count.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._numbers = slot.numbers
        for family in FAMILIES:
            if family.kind == "gauge":
                self._numbers[_PLACES[family.name, ()]] = 0.0

    def add(self, name: str, amount: float = 1.0, labels: Labels = ()) -> None:
        """Add to a counter or a gauge."""
        self._numbers[_PLACES[name, labels]] += amount

    def set(self, name: str, value: float) -> None:
        """Set a gauge."""
        self._numbers[_PLACES[name, ()]] = value

    def observe(self, name: str, value: float, labels: Labels = ()) -> None:
        """Add a value to a histogram."""
        bounds = _BOUNDS[name]
        place = _PLACES[name, labels]
        self._numbers[place + bisect_left(bounds, value)] += 1.0
        self._numbers[place + len(bounds) + 1] += value

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        # A user's script may answer with any.
        known = str(status) if status in STATUSES else "other"
        self.add("kneighbors_requests_total", 1.0, (route, known))
        if ("kneighbors_request_seconds", (route,)) in _PLACES:
            self.observe("kneighbors_request_seconds", seconds, (route,))

    def batch(self, requests: int, queries: int) -> None:
        """Count a search for several requests."""
        self.observe("kneighbors_batch_requests", requests)
        self.observe("kneighbors_batch_queries", queries)

    def connections(self, count: int) -> None:
        """Note how many connections are open."""
        self._slot.connections = count

    def error(self, code: str) -> None:
        """Count an error by its code."""
        known = code if code in STATUS_OF_CODE else "other"
        self.add("kneighbors_errors_total", 1.0, (known,))

    def exposition(self, facts: Mapping[str, str]) -> str:
        """Return all metrics of all workers as text.

        Parameters
        ----------
        facts : mapping of str to str
            Labels of ``kneighbors_info``: what is served.
        """
        board = self._slot.board
        sums = [sum(column) for column in zip(*(s.numbers for s in board.slots), strict=True)]
        lines = list(_states(board, facts))
        for family in FAMILIES:
            lines += _header(family.name, family.kind, family.help)
            lines += _samples(family, sums)
        return "\n".join(lines) + "\n"


def _states(board: Board, facts: Mapping[str, str]) -> Iterator[str]:
    yield from _header("kneighbors_info", "gauge", "What is served, in the labels.")
    yield f"kneighbors_info{_labelled(facts)} 1"
    ready = board.count(State.READY)
    gauges = (
        ("kneighbors_ready", "1 once every worker has answered its first query.", board.opened),
        ("kneighbors_workers", "Processes that there should be.", board.workers),
        ("kneighbors_workers_ready", "Processes that answer.", ready),
        ("kneighbors_connections", "Open connections.", sum(s.connections for s in board.slots)),
    )
    for name, text, value in gauges:
        yield from _header(name, "gauge", text)
        yield f"{name} {int(value)}"
    yield from _header("kneighbors_worker_starts_total", "counter", "Processes started so far.")
    yield f"kneighbors_worker_starts_total {board.starts}"


def _samples(family: Family, sums: list[float]) -> Iterator[str]:
    for values in product(*family.labels.values()):
        labels = dict(zip(family.labels, values, strict=True))
        place = _PLACES[family.name, values]
        if family.kind == "histogram":
            yield from _histogram(family, labels, sums[place : place + family.size])
        elif sums[place] or family.kind == "gauge" or not labels:
            # Of hundreds of label sets, those that never occurred would only be noise.
            yield f"{family.name}{_labelled(labels)} {_number(sums[place])}"


def _histogram(family: Family, labels: dict[str, str], numbers: list[float]) -> Iterator[str]:
    total = 0.0
    bounds = [*map(_number, family.bounds), "+Inf"]
    for bound, count in zip(bounds, numbers, strict=False):
        total += count
        yield f"{family.name}_bucket{_labelled({**labels, 'le': bound})} {_number(total)}"
    yield f"{family.name}_sum{_labelled(labels)} {_number(numbers[-1])}"
    yield f"{family.name}_count{_labelled(labels)} {_number(total)}"


def _header(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labelled(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
