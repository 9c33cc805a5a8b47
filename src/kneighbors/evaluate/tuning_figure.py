"""A picture of what recall costs: ``trade-off.svg``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kneighbors.drawing import document, legend, number, text, ticks, upright
from kneighbors.storage import Address
from kneighbors.storage.local import writing_whole

FIGURE_NAME = "trade-off.svg"

_WIDTH, _HEIGHT = 640, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 616, 92, 350
_STYLES = ("a", "b")
_STYLE = """.a.l{stroke:#2f7fc1;fill:none}.b.l{stroke:#d9822b;fill:none}
.n.l{stroke:#7a8794;fill:none}
.w{stroke-width:1}"""


def write_trade_off(
    path: Path, settings: Sequence[Mapping[str, Any]], target: float | None
) -> Path:
    """Write the picture, whole or not at all.

    Parameters
    ----------
    path : Path
        Of the file.
    settings : sequence of mapping
        As `kneighbors.search.graph_tuning.Setting` has them.
    target : float or None
        Recall that was looked for.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with writing_whole(Address.parse(path)) as file:
        file.write(draw_trade_off(settings, target).encode())
    return path


def draw_trade_off(settings: Sequence[Mapping[str, Any]], target: float | None) -> str:
    """Return recall against the time of a query, as the text of an SVG file.

    A point is a setting, a line below it goes to what its recall can be relied upon for.
    """
    title = "What recall costs: the time of a query, and the share of neighbours it finds"
    return document(_WIDTH, _HEIGHT, title, _lines(settings, target, title), _STYLE)


def _lines(
    settings: Sequence[Mapping[str, Any]], target: float | None, title: str
) -> Iterator[str]:
    lowest = min([float(one["low"]) for one in settings] + ([target] if target else []))
    low = max(0.0, lowest - 0.1 * (1 - lowest) - 1e-6)
    longest = 1.08 * max(float(one["query_ms"]) for one in settings)

    def x(milliseconds: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * milliseconds / longest

    def y(recall: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (recall - low) / (1.0 - low)

    yield text(_LEFT, 28, title, "title")
    for tick in ticks(low, 1.0):
        yield f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{_RIGHT}"/>'
        yield text(_LEFT - 6, y(tick) + 4, number(tick), anchor="end")
    for tick in ticks(0, longest):
        yield f'<path class="axis" d="M{x(tick):.1f} {_BOTTOM}v4"/>'
        yield text(x(tick), _BOTTOM + 18, number(tick), anchor="middle")
    for place, (name, style, some) in enumerate(_series(settings)):
        yield from legend(_LEFT + 180 * place, 48, name, style)
        path = "L".join(f"{x(one['query_ms']):.1f} {y(one['recall']):.1f}" for one in some)
        yield f'<path class="{style} l" d="M{path}"/>'
        for one in some:
            at, top, bottom = x(one["query_ms"]), y(one["recall"]), y(one["low"])
            yield f'<path class="{style} l w" d="M{at:.1f} {top:.1f}V{bottom:.1f}"/>'
            yield f'<circle class="{style}" cx="{at:.1f}" cy="{top:.1f}" r="4"/>'
    if target is not None:
        yield f'<path class="m n" d="M{_LEFT} {y(target):.1f}H{_RIGHT}"/>'
        yield text(_RIGHT, y(target) - 5, f"target {number(target)}", anchor="end")
    yield f'<path class="axis" d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"/>'
    yield text((_LEFT + _RIGHT) / 2, _BOTTOM + 44, "median time of a query (ms)", anchor="middle")
    yield upright(_LEFT - 48, (_TOP + _BOTTOM) / 2, "index recall, by distance")


def _series(
    settings: Sequence[Mapping[str, Any]],
) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """Return each graph's settings, and exact search, with a name and a style."""
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for one in settings:
        groups.setdefault((one["M"], one["ef_construction"]), []).append(one)
    out = []
    for place, ((links, width), some) in enumerate(groups.items()):
        if links is None:
            out.append(("exact search", "n", some))
        else:
            name = f"M {links}, ef_construction {width}"
            out.append((name, _STYLES[place % len(_STYLES)], some))
    return out
