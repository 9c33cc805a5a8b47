from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from kneighbors.cli.tables import answer_table, shown_distance, shown_value


def text_of(prediction: dict[str, Any], title: str | None = None, width: int = 120) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(answer_table(prediction, width, title))
    return capture.get()


def words_of(prediction: dict[str, Any]) -> str:
    return " ".join(text_of(prediction).split())


def test_names_come_first_and_lists_are_shortened() -> None:
    item = {"price": 9.5, "tags": list("abcdefgh"), "title": "T", "name": "N"}
    text = text_of({"distances": [0.25], "indices": [3], "ids": ["x"], "items": [item]})
    heading = next(line for line in text.splitlines() if "distance" in line)
    order = ["distance", "row", "id", "name", "title", "price", "tags"]
    assert heading.split() == order
    assert "a, b, c, d, e, f, ..." in text


def test_attributes_that_do_not_fit_are_named_below() -> None:
    item = {"name": "N" * 30, "notes": "x " * 40, "price": 9.5}
    one = {"distances": [0.25], "indices": [3], "ids": [3], "items": [item]}
    text = text_of(one, width=70)
    assert text.splitlines()[1].split() == ["distance", "row", "name", "price"]
    assert "Not shown: notes. Choose by --columns." in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 70
    assert "notes" in text_of(one, width=120).splitlines()[1]


def test_the_first_attribute_is_shown_however_narrow_the_terminal_is() -> None:
    item = {"name": "Château Example", "price": 9.5}
    text = text_of({"distances": [0.25], "indices": [3], "ids": [3], "items": [item]}, width=30)
    assert "0.250000" in text
    assert "name" in text


def test_row_numbers_that_are_the_ids_are_shown_once() -> None:
    text = text_of({"distances": [0.25], "indices": [3], "ids": [3]})
    assert " id" not in text


def test_a_query_with_too_few_neighbours_says_why() -> None:
    short = {"distances": [0.1], "indices": [3], "ids": [3], "n_found": 1, "reason": "radius"}
    assert "1 within the radius" in words_of(short)
    assert "1 left by the exclusions" in words_of({**short, "reason": "excluded"})


def test_no_neighbours_are_an_empty_table() -> None:
    text = text_of({"distances": [], "indices": [], "ids": [], "items": []}, "row 7")
    assert "row 7" in text


@pytest.mark.parametrize(
    ("distance", "text"),
    [(0.0, "0.000000"), (0.1234567, "0.123457"), (12.3456789, "12.3457"), (-3e9, "-3e+09")],
)
def test_distances_show_six_digits(distance: float, text: str) -> None:
    assert shown_distance(distance) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (1.0, "1"), (True, "True"), (["a"], "a"), ("x", "x")]
)
def test_attributes_are_short_text(value: Any, text: str) -> None:
    assert shown_value(value) == text
