"""Neighbours as a notebook shows them: a table, their distances, a small map of where they lie.

Whatever an attribute holds is shown as text: nothing of it is markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.drawing import document, legend, number, text, ticks
from kneighbors.search.metrics import normalise

if TYPE_CHECKING:
    from kneighbors.recommend.neighbors import Neighbors
    from kneighbors.search.index import ExactIndex

_LONGEST_LIST = 6
_LONGEST_TEXT = 120
_TABLE_STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_WIDTH, _LEFT, _RIGHT, _ROW = 720, 190, 690, 22
_MAP = 420
#: Rows that a map shows besides the neighbours.
_SAMPLE = 1500
_MAP_STYLE = ".far{fill:#7a8794;fill-opacity:.35}.near{fill:#2f7fc1;fill-opacity:.95}"


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook shows.

    Parameters
    ----------
    svg : str
        Its text.
    """

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the picture to a file.

        Raises
        ------
        StorageError
            When it cannot be written.
        """
        from kneighbors.storage import Address
        from kneighbors.storage.local import writing_whole

        with writing_whole(Address.parse(path)) as file:
            file.write(self.svg.encode())


def table_html(found: Neighbors) -> str:
    """Return neighbours as an HTML table: place, distance, id and attributes.

    Examples
    --------
    >>> from kneighbors.recommend.neighbors import Neighbors
    >>> found = Neighbors(np.array([0.25]), np.array([7]), ["a<b"], [{"name": "<b>Merlot</b>"}])
    >>> "&lt;b&gt;Merlot&lt;/b&gt;" in table_html(found), "<b>" in table_html(found)
    (True, False)
    """
    items = found.items or [{} for _ in found.ids]
    names = list(dict.fromkeys(name for item in items for name in item))
    lines = [f'<table style="{_TABLE_STYLE}">', "<thead><tr>"]
    lines += [f'<th scope="col">{escape(name)}</th>' for name in ("", "distance", "id", *names)]
    lines.append("</tr></thead><tbody>")
    rows = zip(found.distances.tolist(), found.ids, items, strict=True)
    for place, (distance, one_id, item) in enumerate(rows, 1):
        cells = [str(place), f"{distance:.4g}", str(one_id), *(item.get(name) for name in names)]
        lines.append(f"<tr>{''.join(_cell(value) for value in cells)}</tr>")
    lines.append("</tbody></table>")
    if found.reason is not None:
        more = f": {found.detail}" if found.detail else ""
        lines.append(f"<p>{found.n_found} found ({escape(found.reason + more)})</p>")
    return "".join(lines)


def draw_distances(found: Neighbors) -> Picture:
    """Draw how far each neighbour is: a bar for each, the nearest on top.

    Parameters
    ----------
    found : Neighbors

    Returns
    -------
    Picture
    """
    distances: list[float] = found.distances.tolist()
    low, high = min([0.0, *distances]), max([0.0, *distances]) or 1.0
    height = 64 + _ROW * len(distances)

    def x(value: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (value - low) / (high - low)

    def lines() -> Iterator[str]:
        for tick in ticks(low, high):
            yield f'<path class="grid" d="M{x(tick):.1f} 16V{height - 44}"/>'
            yield text(x(tick), height - 26, number(tick), anchor="middle")
        for place, (distance, name) in enumerate(zip(distances, _names(found), strict=True)):
            top = 18 + _ROW * place
            left, right = sorted((x(0.0), x(distance)))
            yield (
                f'<rect class="a" x="{left:.1f}" y="{top}" width="{max(right - left, 1):.1f}" '
                f'height="{_ROW - 6}"/>'
            )
            yield text(_LEFT - 8, top + 12, name, anchor="end")
        yield text((_LEFT + _RIGHT) / 2, height - 6, "distance", anchor="middle")

    return Picture(document(_WIDTH, height, f"{len(distances)} neighbours", lines()))


def draw_map(index: ExactIndex, found: Neighbors, *, random_state: int = 0) -> Picture:
    """Draw where neighbours lie among a sample of the corpus.

    The plane is that of the two directions in which the sample varies most; what is near in it
    need not be near. For the cosine, vectors are divided by their lengths first.

    Parameters
    ----------
    index : ExactIndex
    found : Neighbors
    random_state : int, default=0
        Of the sample.

    Returns
    -------
    Picture

    Notes
    -----
    O(1500 * n_features**2), whatever the size of the corpus.
    """
    n_samples = index.n_samples
    rng = np.random.default_rng(random_state)
    sample = np.sort(rng.choice(n_samples, min(_SAMPLE, n_samples), replace=False))
    vectors = index.rows.take(np.concatenate([sample, found.indices]))
    wide = normalise(vectors) if index.metric == "cosine" else vectors.astype(np.float64)
    points = _on_the_page(wide, len(sample))

    def lines() -> Iterator[str]:
        for x, y in points[: len(sample)].tolist():
            yield f'<circle class="far" cx="{x:.1f}" cy="{y:.1f}" r="2"/>'
        # The best last, so that it lies on top; a reader sees its name when pointing at it.
        names = _names(found)
        for place in reversed(range(len(names))):
            x, y = points[len(sample) + place].tolist()
            yield (
                f'<circle class="near" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>'
                f"{escape(f'{place + 1}. {names[place]}')}</title></circle>"
            )
        yield from legend(12, 10, f"{len(names)} neighbours", "near")
        yield from legend(142, 10, f"{len(sample):,} of {n_samples:,} rows", "far")

    title = f"{found.n_found} neighbours among {n_samples:,} rows"
    return Picture(document(_MAP, _MAP + 24, title, lines(), _MAP_STYLE))


def _on_the_page(wide: NDArray[np.float64], n_sample: int) -> NDArray[np.float64]:
    """Return places on a square for rows, by the two main directions of the first of them."""
    sample = wide[:n_sample]
    centred = wide - sample.mean(axis=0)
    _, directions = np.linalg.eigh(centred[:n_sample].T @ centred[:n_sample])
    plane = centred @ directions[:, :-3:-1]
    if plane.shape[1] < 2:
        plane = np.column_stack([plane, np.zeros(len(plane))])
    span = np.abs(plane).max() or 1.0
    return np.asarray([_MAP / 2, _MAP / 2 + 24] + plane * (_MAP / 2 - 14) / span)


def _cell(value: Any) -> str:
    align = "right" if isinstance(value, int | float) and not isinstance(value, bool) else "left"
    return f'<td style="text-align:{align}">{escape(_shown(value))}</td>'


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        more = ", ..." if len(value) > _LONGEST_LIST else ""
        return ", ".join(str(one) for one in value[:_LONGEST_LIST]) + more
    words = f"{value:.6g}" if isinstance(value, float) else str(value)
    return words if len(words) <= _LONGEST_TEXT else f"{words[:_LONGEST_TEXT]}..."


def _names(found: Neighbors) -> Sequence[str]:
    """Return what the neighbours are called, short enough for a label."""
    items = found.items or [{} for _ in found.ids]
    named = (
        str(item.get("name") or item.get("title") or one_id)
        for one_id, item in zip(found.ids, items, strict=True)
    )
    return [words if len(words) <= 28 else f"{words[:27]}…" for words in named]
