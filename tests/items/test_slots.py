"""The table that leads from a hash to its row in constant time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kneighbors.errors import ArtifactError, ItemsRefused
from kneighbors.items import Catalog
from kneighbors.items.slots import build_slots, homes_of, mixed


def looked_at(hashes: Any, slots: Any) -> Any:
    """Return how many slots are looked at until each hash's row is found."""
    place_of = np.full(len(hashes), -1)
    (full,) = np.nonzero(slots >= 0)
    place_of[slots[full]] = full
    return place_of - homes_of(hashes, slots) + 1


@pytest.mark.parametrize("n", [1, 10, 1000, 100_000, 1_000_000])
def test_about_two_slots_are_looked_at_whatever_the_number_of_rows(n: int) -> None:
    hashes = np.sort(mixed(np.arange(n) * 7919))
    slots = build_slots(hashes, np.arange(n))
    steps = looked_at(hashes, slots)
    assert steps.min() >= 1
    assert steps.mean() < 2.5
    assert slots[-1] == -1
    assert len(slots) <= 3 * n + 3 + steps.max()


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_every_row_lies_behind_its_home_before_an_empty_slot(numbers: list[int]) -> None:
    hashes = np.array(sorted(numbers), dtype=np.uint64)
    slots = build_slots(hashes, np.arange(len(hashes)))
    for row, home in enumerate(homes_of(hashes, slots).tolist()):
        rest = slots[home:].tolist()
        assert row in rest[: rest.index(-1)]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=40))
def test_no_two_integers_have_one_hash(numbers: list[int]) -> None:
    assert len(np.unique(mixed(np.array(numbers, dtype=np.int64)))) == len(numbers)


def without_slots(catalog: Catalog) -> Catalog:
    parts = {name: part for name, part in catalog.parts().items() if name != "ids-slots"}
    return Catalog.from_parts(catalog.n_samples, catalog.id_type, parts)


@pytest.mark.parametrize("ids", [[f"é{row}" for row in range(300)], [7 * r for r in range(300)]])
def test_ids_are_found_with_and_without_a_table(ids: Sequence[Any]) -> None:
    catalog = Catalog(300, ids=ids)
    rows = list(range(0, 300, 7))
    for one in (catalog, without_slots(catalog)):
        assert one.rows_of([ids[row] for row in rows]).tolist() == rows
        with pytest.raises(ItemsRefused) as caught:
            one.rows_of([ids[3], "é" if isinstance(ids[0], str) else 8])
        assert (caught.value.code, caught.value.where) == ("id-unknown", "position 1 of the ids")


@pytest.mark.parametrize("ids", [["a", "b", "c"], [1, 2, 3]])
@pytest.mark.parametrize("forged", [[0] * 9, [99] * 9, [-1] * 9, [2, 1, 0] * 3])
def test_a_forged_table_finds_the_right_row_or_none(ids: Any, forged: list[int]) -> None:
    catalog = Catalog(3, ids=ids)
    parts = {**catalog.parts(), "ids-slots": np.array(forged, dtype=np.int32)}
    opened = Catalog.from_parts(3, catalog.id_type, parts)
    for row, value in enumerate(ids):
        try:
            found = opened.rows_of([value]).tolist()
        except (ItemsRefused, ArtifactError):
            continue
        assert found == [row]
