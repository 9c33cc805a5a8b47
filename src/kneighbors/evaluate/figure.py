"""A picture of an evaluation: what is found by lists of 1 to k places, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from kneighbors.drawing import document, legend, number, text, ticks, upright

if TYPE_CHECKING:
    from kneighbors.evaluate.bootstrap import Estimate
    from kneighbors.evaluate.recommendations import Evaluation

_WIDTH, _HEIGHT = 860, 400
_TOP, _BOTTOM = 92, 330
_CURVE_LEFT, _CURVE_RIGHT = 72, 412
_DOTS_LEFT, _DOTS_RIGHT = 520, 836
_SERIES: Final = {"recommender": "a", "popular": "b", "random": "n"}
_DOTTED: Final = ("precision", "hit_recall", "map", "ndcg", "mrr", "hit_rate")
_STYLE = (
    ".band{stroke:none;fill-opacity:.16}.line{fill:none;stroke-width:2}"
    ".line.a,.whisker.a{stroke:#2f7fc1}.line.b,.whisker.b{stroke:#d9822b}"
    ".line.n,.whisker.n{stroke:#7a8794}.whisker{stroke-width:2}.dot{fill-opacity:1}"
)

Scale = Callable[[float], float]


def draw_evaluation(evaluation: Evaluation) -> str:
    """Return the hit recall by length of the list, and the accuracy, as the text of an SVG file."""
    split = evaluation.split
    title = (
        f"{split['users']:,} users, {split['held_out']:,} items held out ({split['name']}), "
        f"{evaluation.n_samples:,} items to choose from"
    )
    lines = [text(_CURVE_LEFT, 28, title, "title"), *_legends(evaluation)]
    lines += [*_curves(evaluation), *_dots(evaluation)]
    return document(_WIDTH, _HEIGHT, title, lines, _STYLE)


def _legends(evaluation: Evaluation) -> Iterator[str]:
    for place, (name, style) in enumerate(_SERIES.items()):
        yield from legend(_CURVE_LEFT + 120 * place, 48, name, style)
    caption = f"dots and lines: means; bars and bands: {evaluation.confidence:.0%} intervals"
    yield text(_DOTS_RIGHT, 57, caption, anchor="end")


def _curves(evaluation: Evaluation) -> Iterator[str]:
    """Yield the hit recall of lists of 1 to k places."""
    k = evaluation.n_neighbors
    curves = {name: evaluation.measured[name].curve for name in _SERIES}
    y_max = _top_of([one for curve in curves.values() for one in curve])

    def x(place: float) -> float:
        return _CURVE_LEFT + (_CURVE_RIGHT - _CURVE_LEFT) * (place - 1) / max(1, k - 1)

    y = _upwards(y_max)
    for tick in ticks(0, y_max):
        yield f'<path class="grid" d="M{_CURVE_LEFT} {y(tick):.1f}H{_CURVE_RIGHT}"/>'
        yield text(_CURVE_LEFT - 6, y(tick) + 4, number(tick), anchor="end")
    for name, curve in curves.items():
        yield _band(curve, x, y, _SERIES[name])
        points = "L".join(f"{x(n):.1f} {y(_value(one)):.1f}" for n, one in enumerate(curve, 1))
        # A list of one place is a point, which a line of no length shows by its round ends.
        yield f'<path class="line {_SERIES[name]}" stroke-linecap="round" d="M{points}h.01"/>'
    yield f'<path class="axis" d="M{_CURVE_LEFT} {_TOP}V{_BOTTOM}H{_CURVE_RIGHT}"/>'
    for tick in _places(k):
        yield f'<path class="axis" d="M{x(tick):.1f} {_BOTTOM}v4"/>'
        yield text(x(tick), _BOTTOM + 18, number(tick), anchor="middle")
    yield text((_CURVE_LEFT + _CURVE_RIGHT) / 2, _BOTTOM + 42, "places of the list", "", "middle")
    yield upright(_CURVE_LEFT - 52, (_TOP + _BOTTOM) / 2, "hit recall")


def _dots(evaluation: Evaluation) -> Iterator[str]:
    """Yield the figures of accuracy, each with its interval."""
    rows = {name: evaluation.measured[name].merits for name in _SERIES}
    x_max = _top_of([merits[merit] for merits in rows.values() for merit in _DOTTED])

    def x(value: float) -> float:
        return _DOTS_LEFT + (_DOTS_RIGHT - _DOTS_LEFT) * value / x_max

    for tick in ticks(0, x_max):
        yield f'<path class="grid" d="M{x(tick):.1f} {_TOP}V{_BOTTOM}"/>'
        yield text(x(tick), _BOTTOM + 18, number(tick), anchor="middle")
    step = (_BOTTOM - _TOP) / len(_DOTTED)
    for place, merit in enumerate(_DOTTED):
        middle = _TOP + step * (place + 0.5)
        yield text(_DOTS_LEFT - 8, middle + 4, merit, anchor="end")
        for offset, (name, style) in enumerate(_SERIES.items()):
            one, at = rows[name][merit], middle + 9 * (offset - 1)
            low, high = x(one.low or 0.0), x(one.high or 0.0)
            yield f'<path class="whisker {style}" d="M{low:.1f} {at:.1f}H{high:.1f}"/>'
            yield f'<circle class="dot {style}" cx="{x(_value(one)):.1f}" cy="{at:.1f}" r="3.5"/>'
    yield f'<path class="axis" d="M{_DOTS_LEFT} {_TOP}V{_BOTTOM}H{_DOTS_RIGHT}"/>'
    label = f"at {evaluation.n_neighbors} places"
    yield text((_DOTS_LEFT + _DOTS_RIGHT) / 2, _BOTTOM + 42, label, anchor="middle")


def _band(curve: tuple[Estimate, ...], x: Scale, y: Scale, style: str) -> str:
    above = [f"{x(n):.1f} {y(one.high or 0.0):.1f}" for n, one in enumerate(curve, 1)]
    below = [f"{x(n):.1f} {y(one.low or 0.0):.1f}" for n, one in enumerate(curve, 1)]
    return f'<path class="band {style}" d="M{"L".join([*above, *reversed(below)])}Z"/>'


def _places(k: int) -> list[int]:
    """Return whole places to mark, the first and the last among them."""
    inner = [int(tick) for tick in ticks(1, k) if float(tick).is_integer() and 1 < tick < k]
    return sorted({1, *inner, k})


def _upwards(y_max: float) -> Scale:
    return lambda value: _BOTTOM - (_BOTTOM - _TOP) * value / y_max


def _top_of(estimates: list[Estimate]) -> float:
    """Return where an axis ends: a little above all; anywhere if all are nothing."""
    return 1.06 * max(one.high or 0.0 for one in estimates) or 1.0


def _value(one: Estimate) -> float:
    return one.value or 0.0
