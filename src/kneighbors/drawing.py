"""Pieces of SVG pictures: what plots are drawn from, wherever in the package they are.

Written by hand: a job in AWS's stock image may install nothing, and a few axes need no library. The
colours are legible on white and on black; where a reader says which it has, they follow. Numbers
are rounded, so the same values give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

_TICKS = 5
#: Series are of class a, b, c or n (nothing special); axes, grids and titles are named so.
STYLE = """\
text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#757575}
.title{font-size:15px;font-weight:600}.axis{stroke:#8a8a8a;fill:none}
.grid{stroke:#8a8a8a;stroke-opacity:.25}.a{fill:#2f7fc1}.b{fill:#d9822b}.n{fill:#7a8794}
.a,.b,.n{fill-opacity:.62}.m{stroke-width:1.5;stroke-dasharray:4 3}.m.a{stroke:#2f7fc1}
.m.b{stroke:#d9822b}.m.n{stroke:#7a8794}
@media(prefers-color-scheme:dark){text{fill:#b4b4b4}.axis,.grid{stroke:#9a9a9a}}
@media(prefers-color-scheme:light){text{fill:#4a4a4a}}"""


def document(
    width: int, height: int, title: str, lines: Iterable[str], more_style: str = ""
) -> str:
    """Return a picture as the text of an SVG file; a screen reader says its title."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">'
    )
    style = f"<style>{STYLE}{more_style}</style>"
    return "\n".join([opening, f"<title>{escape(title)}</title>", style, *lines, "</svg>\n"])


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    """Return words at a place; whatever they hold, they are shown as they are."""
    named = f' class="{style}"' if style else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def upright(x: float, y: float, words: str) -> str:
    """Return words that are read from below, around a place: the label of a vertical axis."""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 {x:.0f} {y:.0f})">{escape(words)}</text>'
    )


def legend(x: float, y: float, words: str, style: str) -> Iterator[str]:
    """Yield a patch of a series' colour, and what the series is."""
    yield f'<rect class="{style}" x="{x:.0f}" y="{y:.0f}" width="12" height="10"/>'
    yield text(x + 18, y + 9, words)


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two numbers, about five."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low, high]
    rough = span / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """Return a number in few characters.

    Examples
    --------
    >>> number(0.30000000000000004), number(1500.0), number(0.0)
    ('0.3', '1500', '0')
    """
    return f"{value:.4g}" if abs(value) >= 1e-12 else "0"
