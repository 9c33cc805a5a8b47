"""A picture of index recall: how many queries find how much."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kneighbors.drawing import document, number, text, ticks, upright
from kneighbors.evaluate.index_recall_report import IndexRecall

_WIDTH, _HEIGHT = 560, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 536, 64, 290


def draw_index_recall(found: IndexRecall) -> str:
    """Return the distribution of the queries' recalls by distance, as the text of an SVG file."""
    title = (
        f"Index recall at {found.n_neighbors}, by distance: mean {found.by_distance.mean:.4f} "
        f"of {found.n_queries:,} queries"
    )
    return document(_WIDTH, _HEIGHT, title, _lines(found, title))


def _lines(found: IndexRecall, title: str) -> Iterator[str]:
    k = found.n_neighbors
    places = np.rint(found.recalls_by_distance * k).astype(int)
    counts = np.bincount(places, minlength=k + 1)
    first = int(places.min())
    first = min(first, max(0, k - 4))
    width = (_RIGHT - _LEFT) / (k + 1 - first)
    top = 1.06 * max(1, int(counts.max()))

    def y(count: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * count / top

    yield text(_LEFT, 28, title, "title")
    for tick in ticks(0, top):
        yield f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{_RIGHT}"/>'
        yield text(_LEFT - 6, y(tick) + 4, number(tick), anchor="end")
    step = max(1, (k + 1 - first) // 10)
    for place in range(first, k + 1):
        x = _LEFT + width * (place - first)
        yield (
            f'<rect class="a" x="{x + 1:.1f}" y="{y(counts[place]):.1f}" '
            f'width="{max(width - 2, 1):.1f}" height="{_BOTTOM - y(counts[place]):.1f}"/>'
        )
        if (k - place) % step == 0:
            yield text(x + width / 2, _BOTTOM + 18, number(place / k), anchor="middle")
    yield f'<path class="axis" d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"/>'
    yield text((_LEFT + _RIGHT) / 2, _BOTTOM + 44, "recall of a query", anchor="middle")
    yield upright(_LEFT - 48, (_TOP + _BOTTOM) / 2, "queries")
