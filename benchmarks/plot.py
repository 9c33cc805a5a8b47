"""Line charts with logarithmic axes, as SVG written by hand: the same lines give the same bytes.

The colours are legible on white and on black; where a reader says which it has, the text follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 44, 54
_COLOURS = ("#2f7fc1", "#d9822b", "#3f9b59", "#b8509a", "#8a6fd1", "#7a8794")
_STYLE = """\
text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#757575}
.title{font-size:15px;font-weight:600}.axis{stroke:#8a8a8a;fill:none}
.grid{stroke:#8a8a8a;stroke-opacity:.25}.mark{stroke:#8a8a8a;stroke-dasharray:4 3}
@media(prefers-color-scheme:dark){text{fill:#b4b4b4}.axis,.grid,.mark{stroke:#9a9a9a}}
@media(prefers-color-scheme:light){text{fill:#4a4a4a}}"""


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis over whole decades, or parts of one where the values are close."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> Axis:
        """Return an axis that has room for values."""
        low, high = math.log10(min(values)), math.log10(max(values))
        room = max(0.04 * (high - low), 0.05)
        return cls(low - room, high + room, start, end)

    def place(self, value: float) -> float:
        """Return where a value lies, in pixels."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Iterator[float]:
        """Yield round values: powers of ten, and their doubles and fives where these are few."""
        steps = (1, 2, 5) if self.high - self.low < 2.5 else (1,)
        for decade in range(math.floor(self.low), math.ceil(self.high) + 1):
            for step in steps:
                value = step * 10.0**decade
                if self.low <= math.log10(value) <= self.high:
                    yield value


@dataclass(frozen=True)
class Chart:
    """What a chart shows.

    Attributes
    ----------
    title, x_label, y_label : str
    series : mapping of str to points
        Each line's name and its values, above zero, by rising x.
    mark : (float, str), optional
        A value of x to be marked, and what it is.
    """

    title: str
    x_label: str
    y_label: str
    series: Mapping[str, Points]
    mark: tuple[float, str] | None = None

    def svg(self) -> str:
        """Return the chart."""
        points = [point for line in self.series.values() for point in line]
        x = Axis.over([at for at, _ in points], _LEFT, _WIDTH - _RIGHT)
        y = Axis.over([value for _, value in points], _HEIGHT - _BOTTOM, _TOP)
        parts = [*self._frame(x, y), *self._mark(x, y), *self._lines(x, y)]
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        )
        title = escape(self.title)
        return "\n".join(
            [
                f'{head} aria-label="{title}">',
                f"<title>{title}</title>",
                f"<style>{_STYLE}</style>",
                *parts,
                "</svg>\n",
            ]
        )

    def _frame(self, x: Axis, y: Axis) -> Iterator[str]:
        yield _text(_LEFT, 22, self.title, "title")
        yield f'<path class="axis" d="M{_LEFT} {_TOP}V{y.start:.1f}H{x.end:.1f}"/>'
        for value in x.ticks():
            at = x.place(value)
            yield f'<path class="grid" d="M{at:.1f} {_TOP}V{y.start:.1f}"/>'
            yield _text(at, y.start + 18, _short(value), anchor="middle")
        for value in y.ticks():
            at = y.place(value)
            yield f'<path class="grid" d="M{_LEFT} {at:.1f}H{x.end:.1f}"/>'
            yield _text(_LEFT - 8, at + 4, _short(value), anchor="end")
        yield _text((x.start + x.end) / 2, _HEIGHT - 12, self.x_label, anchor="middle")
        yield _text(_LEFT, _TOP - 6, self.y_label)

    def _mark(self, x: Axis, y: Axis) -> Iterator[str]:
        if self.mark is not None:
            at, label = x.place(self.mark[0]), self.mark[1]
            yield f'<path class="mark" d="M{at:.1f} {_TOP}V{y.start:.1f}"/>'
            yield _text(at + 5, y.start - 8, label)

    def _lines(self, x: Axis, y: Axis) -> Iterator[str]:
        ends = sorted((y.place(line[-1][1]), name) for name, line in self.series.items())
        heights, last = {}, -math.inf
        for height, name in ends:  # labels that would lie on each other are moved apart
            last = max(height, last + 15)
            heights[name] = last
        for (name, line), colour in zip(self.series.items(), _COLOURS, strict=False):
            path = "L".join(f"{x.place(at):.1f} {y.place(value):.1f}" for at, value in line)
            yield f'<path fill="none" stroke="{colour}" stroke-width="2" d="M{path}"/>'
            for at, value in line:
                place = f'cx="{x.place(at):.1f}" cy="{y.place(value):.1f}"'
                yield f'<circle {place} r="3" fill="{colour}"/>'
            yield (
                f'<text x="{x.place(line[-1][0]) + 10:.1f}" y="{heights[name] + 4:.1f}" '
                f'style="fill:{colour}">{escape(name)}</text>'
            )


def crossing(first: Points, second: Points) -> float | None:
    """Return the x from which on the second line is below the first, or None if it never is.

    Between two points, lines are straight on logarithmic axes.
    """
    one, other = dict(first), dict(second)
    at = sorted(set(one) & set(other))
    gaps = [math.log(one[x] / other[x]) for x in at]
    if not gaps or gaps[-1] <= 0:
        return None
    for place in range(len(at) - 1, 0, -1):
        before, after = gaps[place - 1], gaps[place]
        if before <= 0:
            share = -before / (after - before)
            return math.exp(math.log(at[place - 1]) * (1 - share) + math.log(at[place]) * share)
    return float(at[0])


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(text)}</text>'


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"
