"""A notebook shows neighbours as a table and pictures, and what attributes hold as text."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from kneighbors.recommend.neighbors import Neighbors
from kneighbors.recommend.views import draw_distances, draw_map, table_html
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

EVIL = "<script>alert(1)</script> & \"'"


def neighbors(n: int = 3) -> Neighbors:
    items = [{"name": f"{EVIL} {row}", "price": 9.5, "terms": ["oak"] * 8} for row in range(n)]
    return Neighbors(np.arange(n) / 10, np.arange(n), [f"w{row}" for row in range(n)], items)


def test_a_table_has_a_line_for_each_neighbour_and_its_attributes() -> None:
    root = ElementTree.fromstring(table_html(neighbors()))  # noqa: S314
    assert ["", "distance", "id", "name", "price", "terms"] == [
        cell.text or "" for cell in root.iter("th")
    ]
    lines = [[cell.text for cell in row] for row in root.find("tbody") or []]
    assert ["2", "0.1", "w1", f"{EVIL} 1", "9.5", "oak, oak, oak, oak, oak, oak, ..."] == lines[1]


def test_no_attribute_is_markup() -> None:
    for shown in (neighbors()._repr_html_(), draw_distances(neighbors()).svg):
        assert "<script" not in shown
    assert "<b>" not in table_html(Neighbors(np.zeros(1), np.zeros(1, int), ["<b>"], [{"<b>": 1}]))


def test_a_reason_is_told_below_the_table() -> None:
    none = Neighbors(np.zeros(0), np.zeros(0, int), [], reason="filter", detail="price < 0 & > 1")
    assert "<p>0 found (filter: price &lt; 0 &amp; &gt; 1)</p>" in table_html(none)


def test_distances_are_bars_from_zero() -> None:
    root = ElementTree.fromstring(draw_distances(neighbors()).svg)  # noqa: S314
    widths = [float(rect.attrib["width"]) for rect in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths == pytest.approx([1.0, 250.0, 500.0])


@pytest.mark.parametrize("distances", [[], [0.0], [-3.0, -1.0], [1e-12, 2e-12]])
def test_any_distances_can_be_drawn(distances: list[float]) -> None:
    n = len(distances)
    found = Neighbors(np.array(distances), np.arange(n), list(range(n)))
    svg = draw_distances(found).svg
    assert n == svg.count("<rect")
    assert "nan" not in svg


@pytest.mark.parametrize(("metric", "width"), [("cosine", 5), ("euclidean", 1), ("euclidean", 2)])
def test_a_map_lights_the_neighbours_among_the_rows(metric: str, width: int) -> None:
    X = np.random.default_rng(0).standard_normal((40, width)).astype(np.float32)
    index = ExactIndex.build(ArrayRows(X), metric)
    svg = draw_map(index, neighbors()).svg
    ElementTree.fromstring(svg)  # noqa: S314
    assert (40, 3) == (svg.count('circle class="far"'), svg.count('circle class="near"'))
    assert "nan" not in svg
    assert "<script" not in svg


def test_a_map_of_many_rows_shows_a_sample_and_the_same_one_again() -> None:
    X = np.random.default_rng(0).standard_normal((4000, 4)).astype(np.float32)
    index = ExactIndex.build(ArrayRows(X), "cosine")
    first = draw_map(index, neighbors()).svg
    assert 1500 == first.count('circle class="far"')
    assert "1,500 of 4,000 rows" in first
    assert first == draw_map(index, neighbors()).svg


def test_a_picture_is_shown_and_saved(tmp_path: Path) -> None:
    picture = draw_distances(neighbors())
    assert picture.svg == picture._repr_svg_()
    picture.save(tmp_path / "distances.svg")
    assert picture.svg == (tmp_path / "distances.svg").read_text("utf-8")
