"""Named lists of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kneighbors.errors import ArtifactError, ItemsRefused
from kneighbors.items import Catalog
from kneighbors.items.lists import Lists

LISTS = Lists({"seen": [4, 2, 4], "in stock": [], "Œuvres": np.array([7])})


def test_a_list_gives_its_rows_once_and_in_order() -> None:
    assert LISTS.names == ("seen", "in stock", "Œuvres")
    assert [LISTS.rows(name).tolist() for name in LISTS.names] == [[2, 4], [], [7]]


def test_lists_of_ids_become_lists_of_rows() -> None:
    catalog = Catalog(3, ids=["a", "b", "c"])
    assert Lists.of_ids(catalog, {"seen": ["c", "a"]}).rows("seen").tolist() == [0, 2]


def test_an_unknown_id_is_refused_with_the_name_of_its_list() -> None:
    with pytest.raises(ItemsRefused) as caught:
        Lists.of_ids(Catalog(2, ids=["a", "b"]), {"seen": ["a", "q"]})
    assert caught.value.code == "id-unknown"
    assert caught.value.where == "list 'seen', position 1 of the ids"


@pytest.mark.parametrize("name", ["sen", 7, None, "x" * 1_000_000])
def test_an_unknown_list_is_refused_with_the_known_ones(name: Any) -> None:
    with pytest.raises(ItemsRefused) as caught:
        LISTS.rows(name)
    assert caught.value.code == "list-unknown"
    assert "'seen', 'in stock', 'Œuvres'" in str(caught.value.hint)
    assert len(str(caught.value)) < 400


def test_without_lists_every_name_is_unknown() -> None:
    with pytest.raises(ItemsRefused, match="There are no lists"):
        Lists().rows("seen")


@pytest.mark.parametrize("name", ["", " ", 7, "\ud800", "x" * 1025])
def test_names_that_nobody_could_ask_for_are_refused(name: Any) -> None:
    with pytest.raises(ItemsRefused) as caught:
        Lists({name: [1]})
    assert caught.value.code == "list-name"


def test_lists_come_back_from_their_parts() -> None:
    opened = Lists.from_parts(LISTS.parts(), 8)
    assert opened.names == LISTS.names
    assert [opened.rows(name).tolist() for name in opened.names] == [[2, 4], [], [7]]
    assert Lists().parts() == {}


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("lists-ends", [0, 2, 3]),
        ("lists-ends", [0, 2, 1, 3]),
        ("lists-ends", [1, 2, 2, 3]),
        ("lists-rows", [2, 4, 8]),
        ("lists-rows", [-1, 4, 7]),
        ("lists-offsets", [0, 4, 4, 19]),
    ],
)
def test_forged_parts_are_refused(name: str, array: list[int]) -> None:
    with pytest.raises(ArtifactError) as caught:
        Lists.from_parts({**LISTS.parts(), name: np.array(array)}, 8)
    assert caught.value.code == "artifact-invalid"
