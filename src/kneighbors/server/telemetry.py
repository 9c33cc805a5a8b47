"""Metrics in Prometheus's text format, summed over all workers.

Each value of the table in `kneighbors.server.families` has its place in the worker's row of the
board, and counting is one addition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import product

from kneighbors.server.board import Board, Slot, State
from kneighbors.server.derived import derived
from kneighbors.server.families import BINS, FAMILIES, ROUTES, SIDES, STAGES, WINDOW, Family, Labels
from kneighbors.server.statuses import STATUS_OF_CODE, STATUSES

__all__ = ["CONTENT_TYPE", "FAMILIES", "NUMBERS", "ROUTES", "STAGES", "Telemetry"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
        Its row of the board, `NUMBERS` wide. Each number is counted in one thread alone: in the
        event loop's, unless said otherwise.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._numbers = slot.numbers
        for family in FAMILIES:
            if family.kind == "gauge":
                for values in product(*family.labels.values()):
                    self._numbers[_PLACES[family.name, values]] = 0.0

    def add(self, name: str, amount: float = 1.0, labels: Labels = ()) -> None:
        """Add to a counter or a gauge."""
        self._numbers[_PLACES[name, labels]] += amount

    def set(self, name: str, value: float, labels: Labels = ()) -> None:
        """Set a gauge."""
        self._numbers[_PLACES[name, labels]] = value

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

    def candidates(self, share: float) -> None:
        """Count what the bound left of the rows, a query of a batch."""
        self.observe("kneighbors_candidate_share", share)

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
        sums = self._sums()
        lines = list(_states(board, facts))
        for family in FAMILIES:
            if family.is_shown:
                lines += _header(family.name, family.kind, family.help)
                lines += _samples(family, sums)
        for name, text, value in derived(*_windows(sums)):
            lines += _header(name, "gauge", text)
            if value is not None:
                lines.append(f"{name} {_number(value)}")
        return "\n".join(lines) + "\n"

    def measured(self) -> dict[str, float | None]:
        """Return the metrics that are computed from others; None is not known yet."""
        return {name: value for name, _, value in derived(*_windows(self._sums()))}

    def _sums(self) -> list[float]:
        slots = self._slot.board.slots
        return [sum(column) for column in zip(*(s.numbers for s in slots), strict=True)]


def _windows(sums: list[float]) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return what the rechecks add up to, and the distances of each side by bin."""
    rechecks = {part: sums[_PLACES["recheck_window", (part,)]] for part in WINDOW}
    nearest = {
        side: [sums[_PLACES["nearest_distances", (side, bin_)]] for bin_ in BINS] for side in SIDES
    }
    return rechecks, nearest


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
        elif sums[place] or not labels or values in family.from_start:
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
