"""Charts of how cost grows, from the lines that `growth.py` appended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engines import ENGINES
from plot import Chart, crossing

CROSSOVER = (
    "From about {:,.0f} rows on, a graph at recall 0.99 answers a single query sooner than exact "
    "search.\n"
)
_AXES: dict[str, tuple[str, Callable[[Mapping[str, Any]], float]]] = {
    "rows": ("rows", lambda line: line["shape"][0]),
    "width": ("dimensions", lambda line: line["shape"][1]),
    "k": ("neighbours", lambda line: line["k"]),
    "clients": ("clients", lambda line: line["clients"]),
}
_FIGURES = {
    "single_ms": ("single query", "milliseconds"),
    "batch32_ms": ("a query in batches of 32", "milliseconds"),
    "build_s": ("fit", "seconds"),
    "memory_mib": ("memory, vectors included", "MiB"),
}
#: Shorter than the titles of tables.
_LABELS = {"kneighbors": "exact search", "kneighbors_hnsw": "our HNSW", "blas_product": "BLAS"}
_WITH_ROWS = tuple(_FIGURES)
_OF_AXIS = {"rows": _WITH_ROWS, "width": ("single_ms", "batch32_ms"), "k": ("single_ms",)}

Lines = Sequence[Mapping[str, Any]]
Series = dict[str, list[tuple[float, float]]]


def figures(lines: Lines) -> dict[str, Chart]:
    """Return the charts, by the names of their files; those without lines are left out."""
    charts = {}
    for axis, keys in _OF_AXIS.items():
        points = _points(lines, axis)
        for key in keys:
            series = _series(points, key)
            if series:
                charts[f"{axis}-{key.split('_')[0]}"] = _chart(axis, key, series)
    clients = _points(lines, "clients")
    if clients:
        rate = [(at, float(line["requests_per_s"])) for at, line in clients.items()]
        charts["clients-rate"] = Chart(
            "Requests over HTTP and clients", "clients", "requests/s", {"requests/s": rate}
        )
        times = {
            title: [(at, float(line[key])) for at, line in clients.items()]
            for key, title in (("http_ms", "median"), ("http_p99_ms", "p99"))
        }
        charts["clients-latency"] = Chart(
            "Latency over HTTP and clients", "clients", "milliseconds", times
        )
    return charts


def _points(lines: Lines, axis: str) -> dict[float, Mapping[str, Any]]:
    """Return the newest line of each size along an axis, by rising size."""
    of = _AXES[axis][1]
    found = {float(of(line)): line for line in lines if line["axis"] == axis}
    return dict(sorted(found.items()))


def _series(points: Mapping[float, Mapping[str, Any]], key: str) -> Series:
    found: Series = {}
    for at, line in points.items():
        for name, row in line["engines"].items():
            if row.get(key):
                found.setdefault(name, []).append((at, float(row[key])))
    return found


def _chart(axis: str, key: str, series: Series) -> Chart:
    what, unit = _FIGURES[key]
    label = _AXES[axis][0]
    mark = None
    if (axis, key) == ("rows", "single_ms") and "kneighbors_hnsw" in series:
        at = crossing(series["kneighbors"], series["kneighbors_hnsw"])
        mark = None if at is None else (at, "graph is faster")
    titled = {_LABELS.get(name, ENGINES[name].title): line for name, line in series.items()}
    title = f"{what.capitalize()} and {label}"
    return Chart(title, label, unit, titled, mark)
