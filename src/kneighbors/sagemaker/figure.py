"""A picture of how far neighbours are: ``distances.svg``, beside the report.

Two histograms, drawn from the pieces of `kneighbors.drawing`; the same run writes the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kneighbors.drawing import document, legend, number, text, ticks, upright
from kneighbors.sagemaker.probe import Probe
from kneighbors.sagemaker.profile import CorpusProfile
from kneighbors.sagemaker.report import Report
from kneighbors.storage import Address
from kneighbors.storage.local import writing_whole

FIGURE_NAME = "distances.svg"

_WIDTH, _HEIGHT = 860, 380
_PANEL_WIDTH, _PANEL_HEIGHT, _TOP = 340, 230, 76
_LEFTS = (64, 492)
_MOST_BINS = 40

_UNITS = {
    "cosine": "cosine distance (1 - cosine, no unit)",
    "euclidean": "Euclidean distance (units of the vectors)",
    "sqeuclidean": "squared Euclidean distance (units of the vectors, squared)",
    "inner_product": "minus the inner product (units of the vectors, squared)",
}

_Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Series:
    """Values of one kind, and how they are shown."""

    label: str
    values: _Values
    style: str


def write_figure(report: Report, probe: Probe, profile: CorpusProfile, directory: Path) -> Path:
    """Write the distributions of distances and norms, whole or not at all.

    Parameters
    ----------
    report : Report
        Says what the figure is of.
    probe : Probe
        Distances of the sample queries to the first and the last of their neighbours.
    profile : CorpusProfile
        Norms of all rows.
    directory : Path
        Made if it does not exist.

    Returns
    -------
    Path
        Of ``distances.svg``.

    Raises
    ------
    StorageError
        If the directory cannot be made or written to.
    """
    target = directory / FIGURE_NAME
    with writing_whole(Address.parse(target)) as file:
        file.write(draw_figure(report, probe, profile).encode())
    return target


def draw_figure(report: Report, probe: Probe, profile: CorpusProfile) -> str:
    """Return the figure as the text of an SVG file."""
    k = min(report.n_neighbors, max(1, report.rows - 1))
    series = [_Series("nearest neighbour", probe.nearest, "a")]
    if k > 1:
        series.append(_Series(f"neighbour {k}", probe.farthest, "b"))
    title = (
        f"{report.rows:,} rows of {report.dimensions:,} dimensions, {report.metric}, "
        f"{len(probe.nearest)} rows asked, each without itself"
    )
    lines = [
        text(_LEFTS[0], 28, title, "title"),
        *_panel(_LEFTS[0], series, _UNITS[report.metric], "rows asked"),
        *_panel(
            _LEFTS[1],
            [_Series("all rows", profile.all_norms, "n")],
            "Euclidean norm (units of the vectors)",
            "rows",
        ),
    ]
    return document(_WIDTH, _HEIGHT, title, lines)


def _panel(left: int, series: Sequence[_Series], x_label: str, y_label: str) -> Iterator[str]:
    """Yield one pair of axes with a histogram for each series."""
    bottom, right = _TOP + _PANEL_HEIGHT, left + _PANEL_WIDTH
    edges = _edges(np.concatenate([one.values for one in series]))
    counts = [np.histogram(one.values, edges)[0] for one in series]
    top = max(1, *(int(count.max()) for count in counts))
    y_ticks = [tick for tick in ticks(0, top) if float(tick).is_integer()]
    y_max = top * 1.06
    low, high = float(edges[0]), float(edges[-1])

    def x(value: float) -> float:
        return left + _PANEL_WIDTH * (value - low) / (high - low)

    def y(value: float) -> float:
        return bottom - _PANEL_HEIGHT * value / y_max

    for tick in y_ticks:
        yield f'<path class="grid" d="M{left} {y(tick):.1f}H{right}"/>'
        yield text(left - 6, y(tick) + 4, f"{int(tick):,}", anchor="end")
    for one, count in zip(series, counts, strict=True):
        yield _bars(one.style, [x(edge) for edge in edges], [y(n) for n in count], bottom)
    for place, one in enumerate(series):
        yield from _legend(left, place, one, x)
    yield f'<path class="axis" d="M{left} {_TOP}V{bottom}H{right}"/>'
    for tick in ticks(low, high):
        yield f'<path class="axis" d="M{x(tick):.1f} {bottom}v4"/>'
        yield text(x(tick), bottom + 18, number(tick), anchor="middle")
    yield text((left + right) / 2, bottom + 42, x_label, anchor="middle")
    yield upright(left - 48, _TOP + _PANEL_HEIGHT / 2, y_label)


def _legend(left: int, place: int, one: _Series, x: Callable[[float], float]) -> Iterator[str]:
    top = _TOP - 24 + 16 * place - 8
    label = one.label
    if len(one.values):
        median = float(np.median(one.values))
        label += f", median {number(median)}"
        at = x(median)
        yield f'<path class="m {one.style}" d="M{at:.1f} {_TOP}V{_TOP + _PANEL_HEIGHT}"/>'
    yield from legend(left, top, label, one.style)


def _bars(style: str, edges: Sequence[float], tops: Sequence[float], bottom: int) -> str:
    path = f"M{edges[0]:.1f} {bottom}"
    for right, top in zip(edges[1:], tops, strict=True):
        path += f"V{top:.1f}H{right:.1f}"
    return f'<path class="{style}" d="{path}V{bottom}Z"/>'


def _edges(values: _Values) -> _Values:
    """Return the edges of bins that hold all values."""
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        # All alike: one bin around them.
        room = max(abs(high) * 0.05, 1e-6)
        return np.linspace(low - room, high + room, 10)
    n_bins = int(np.clip(math.isqrt(len(values)) * 2, 8, _MOST_BINS))
    # Halved first: the span of the largest floats would be infinite.
    return 2 * np.linspace(low / 2, high / 2, n_bins + 1)
