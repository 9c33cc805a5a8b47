"""Parts of the page on performance: filters, load beyond what can be done, swaps, the explorer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import results
from filter_engines import FILTER_ENGINES

Line = Mapping[str, Any]
Origin = Callable[[Line], str]


def service(origin: Origin) -> Iterator[str]:
    """Yield the sections, of the newest line of each kind; of what has none, nothing."""
    for kind, title, section in (
        ("filters", "With a filter", _filters),
        ("overload", "Twice what it can do", _overload),
        ("swap", "While generations are swapped", _swap),
        ("explorer", "The explorer", _explorer),
    ):
        lines = results.read(kind)
        if lines:
            yield f"## {title}\n"
            yield from section(lines[-1])
            yield f"{origin(lines[-1])}\n"


def _filters(line: Line) -> Iterator[str]:
    engines = line["engines"]
    shares = list(engines["kneighbors"])
    yield (
        f"Wines, {line['rows']:,} rows, one query at a time, k = {line['k']}; the filter leaves so "
        "many of the rows. Milliseconds, medians.\n"
    )
    yield "| | " + " | ".join(shares) + " |\n|---|" + "---|" * len(shares)
    for name, by_share in engines.items():
        cells = " | ".join(f"{by_share[share]['ms']:,.2f}" for share in shares)
        yield f"| {FILTER_ENGINES[name][0]} | {cells} |"
    plain = engines["kneighbors"]["no filter"]["ms"]
    most = max(one["ms"] for one in engines["kneighbors"].values()) / plain
    least = min(one["recall"] for by_share in engines.values() for one in by_share.values())
    yield ""
    yield (
        f"A filter makes ours at most {most:.2f} times as long as a query without one. The least "
        f"recall of any of them is {least:g}.\n"
    )


def _overload(line: Line) -> Iterator[str]:
    yield (
        f"Wines, {line['rows']:,} rows, two workers. At the top rate of {line['top_per_s']:,.0f} "
        "requests/s they are busy all the time; twice as many come, at fixed times, and a process "
        "of its own pings meanwhile. The load runs on the same cores.\n"
    )
    yield "| | answers | median, ms | p99 | most |\n|---|---|---|---|---|"
    for name, title in (
        ("quiet_answered", "half of the top rate"),
        ("overload_answered", "twice the top rate: answered"),
        ("overload_refused", "twice the top rate: refused with 503"),
        ("after_answered", "half of it again, ten seconds later"),
        ("unheld_answered", "half of it"),
        ("held_answered", "half of it, beside connections that do nothing"),
    ):
        times = " | ".join(f"{line[f'{name}{part}_ms']:,.1f}" for part in ("", "_p99", "_most"))
        yield f"| {title} | {line[name]:,} | {times} |"
    lost = sum(line[f"{name}_lost"] for name in ("quiet", "overload", "after", "held"))
    yield ""
    yield (
        f"Pings under twice the load: median {line['overload_ping_ms']:.1f} ms, p99 "
        f"{line['overload_ping_p99_ms']:.0f}, the longest of {line['overload_pings']:,} "
        f"{line['overload_ping_most_ms']:.0f}. Requests without any answer: {lost}. The "
        f"connections that do nothing are {line['held_idle']:,} idle ones and "
        f"{line['held_dripping']:,} that send a byte of a head every half second.\n"
    )


def _swap(line: Line) -> Iterator[str]:
    yield (
        f"Wines, {line['rows']:,} x {line['width']}, {line['rate']:,.0f} requests/s at fixed times "
        f"for {line['seconds']:,.0f} s, quiet, and while {line['published']} generations are "
        "published on the same two cores.\n"
    )
    yield "| | answered | failed | median, ms | p99 | most |\n|---|---|---|---|---|---|"
    for name in ("quiet", "swapping"):
        one = line[name]
        yield (
            f"| {name} | {one['answered']:,} | {one['failed']} | {one['p50_ms']:.1f} | "
            f"{one['p99_ms']:.1f} | {one['most_ms']:.0f} |"
        )
    yield ""
    yield f"The p99 while swapping is {line['p99_ratio']:.1f} times the quiet one.\n"


def _explorer(line: Line) -> Iterator[str]:
    yield (
        f"{line['rows']:,} generated wines in a Chromium without a screen, which draws by software "
        "on the cores that the server has too: results are painted "
        f"{line['key_ms']:.0f} ms after the first letter of a name (at most "
        f"{line['key_most_ms']:.0f}). Dragged, the map is drawn {line['pan_frames_per_s']:.0f} "
        f"times a second, with {line['pan_points_p50']:,} of its points; at rest, with all of "
        "them.\n"
    )
