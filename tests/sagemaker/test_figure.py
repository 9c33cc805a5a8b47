from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from kneighbors.sagemaker.training import TrainingSettings, train

X = np.random.default_rng(6).normal(size=(300, 4))
SVG = "{http://www.w3.org/2000/svg}"


def draw(tmp_path: Path, rows: Any, **more: Any) -> ElementTree.Element:
    np.save(tmp_path / "X.npy", rows)
    settings = TrainingSettings(
        train=str(tmp_path / "X.npy"),
        model_dir=tmp_path / "M",
        output_data_dir=tmp_path / "O",
        overwrite=True,
        **more,
    )
    train(settings)
    return ElementTree.fromstring((tmp_path / "O" / "distances.svg").read_text())  # noqa: S314


def texts_of(figure: ElementTree.Element) -> list[str]:
    return [str(element.text) for element in figure.iter(f"{SVG}text")]


def test_the_figure_names_what_it_shows_with_units(tmp_path: Path) -> None:
    texts = texts_of(draw(tmp_path, X, metric="euclidean", n_neighbors=5))
    assert texts[0].startswith("300 rows of 4 dimensions, euclidean")
    assert "Euclidean distance (units of the vectors)" in texts
    assert "Euclidean norm (units of the vectors)" in texts
    assert "rows asked" in texts
    near = np.sort(np.linalg.norm(X[:, None] - X[None], axis=2), axis=1)
    shown = {
        match[1]: float(match[2])
        for text in texts
        if (match := re.fullmatch(r"(.+), median ([0-9.]+)", text))
    }
    assert set(shown) == {"nearest neighbour", "neighbour 5", "all rows"}
    # A sample of the rows was asked.
    assert shown["nearest neighbour"] == pytest.approx(np.median(near[:, 1]), rel=0.1)
    assert shown["neighbour 5"] == pytest.approx(np.median(near[:, 5]), rel=0.1)
    assert shown["all rows"] == pytest.approx(np.median(np.linalg.norm(X, axis=1)), rel=1e-3)


def test_the_same_run_draws_the_same_bytes(tmp_path: Path) -> None:
    draw(tmp_path, X)
    first = (tmp_path / "O" / "distances.svg").read_bytes()
    draw(tmp_path, X)
    assert (tmp_path / "O" / "distances.svg").read_bytes() == first


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "sqeuclidean", "inner_product"])
@pytest.mark.parametrize(
    "rows",
    [
        X[:1],
        X[:2],
        np.repeat(X[:1], 20, axis=0),
        X[:50] * 1e-160,
        X[:50] * 1e70,
        np.round(X[:50]) + 1e6,
    ],
)
def test_corpora_of_every_kind_can_be_drawn(tmp_path: Path, rows: Any, metric: str) -> None:
    figure = draw(tmp_path, rows, metric=metric)
    numbers = [
        float(number)
        for path in figure.iter(f"{SVG}path")
        for number in re.findall(r"[-0-9.]+", path.attrib["d"])
    ]
    assert numbers
    assert all(-1 <= number <= 860 for number in numbers)
    assert not re.search("nan|inf", " ".join(texts_of(figure)).replace("inner", ""))


def test_the_colours_are_legible_on_white_and_on_black(tmp_path: Path) -> None:
    draw(tmp_path, X)
    text = (tmp_path / "O" / "distances.svg").read_text()
    style = text[: text.index("</style>")]
    default = style[: style.index("@media")]
    fill = re.search(r"text\{[^}]*fill:#([0-9a-f]{6})", default)
    assert fill is not None
    for background in ("ffffff", "000000"):
        assert contrast(fill[1], background) > 4.5
    assert "prefers-color-scheme:dark" in style


def contrast(one: str, other: str) -> float:
    """Return the ratio of two colours' luminances, as accessibility guidelines define it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
