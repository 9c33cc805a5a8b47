"""Where another engine is ahead, in sentences: what tables hide by being large."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engines import APPROXIMATE, ENGINES

_OURS = "kneighbors"
#: Key, what is said of it, its unit; less is better.
_FIGURES = (
    ("single_ms", "a query alone", "ms"),
    ("batch32_ms", "a query in batches of 32", "ms"),
    ("build_s", "building", "s"),
    ("memory_mib", "memory", "MiB"),
)
_AHEAD = 0.95


def losses(line: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each figure in which engines are ahead of ours on a corpus."""
    ours = line["engines"][_OURS]
    for key, said, unit in _FIGURES:
        if ours.get(key) is None:
            continue
        ahead = {
            name: row
            for name, row in line["engines"].items()
            if name != _OURS and row.get(key) is not None and row[key] < _AHEAD * ours[key]
        }
        if ahead:
            best = sorted(ahead, key=lambda name: float(ahead[name][key]))
            names = "; ".join(_named(name, ahead[name], key, ours[key]) for name in best)
            rows, width = line["shape"]
            yield (
                f"{line['corpus'].capitalize()}, {rows:,} x {width}, {said} "
                f"({ours[key]:.3g} {unit} ours): {names}."
            )


def _named(name: str, row: Mapping[str, Any], key: str, ours: float) -> str:
    share = f"{row[key]:.3g}, {ours / row[key]:.1f} times less"
    if not ENGINES[name].selects:
        share += ", selecting nothing"
    elif name in APPROXIMATE:
        share += f", at recall {row['recall']:.3f}"
    return f"{ENGINES[name].title} ({share})"
