"""Ids that are numbers: the user's integers, or the rows themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArtifactError, ItemsRefused
from kneighbors.items.quoting import quoted, rows_named
from kneighbors.items.slots import build_slots, homes_of, mixed
from kneighbors.search.rows import RowArray

#: So many ids are found one by one in the time that arrays need for any number of them.
_FEW = 8

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


class RowNumbers:
    """The ids of a catalogue that was given none: 0 to ``n_samples - 1``."""

    id_type = "row"

    def __init__(self, n_samples: int) -> None:
        self._n_samples = n_samples

    def __len__(self) -> int:
        return self._n_samples

    def rows_of(self, ids: Sequence[Any]) -> RowArray:
        """Return the rows, which the ids are."""
        values = whole_numbers(ids, "a row number")
        for place, value in enumerate(values):
            if not 0 <= value < self._n_samples:
                raise ItemsRefused(
                    "id-unknown",
                    f"Expected a row from 0 to {self._n_samples - 1}, got {quoted(value)}.",
                    where=f"position {place} of the ids",
                )
        return np.array(values, dtype=np.int64)

    def ids_of(self, rows: RowArray) -> list[int]:
        """Return the rows as ids."""
        return [int(row) for row in rows]

    def texts(self) -> Iterable[str]:
        """Return all rows as text."""
        return map(str, range(self._n_samples))

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return what must be stored, which is nothing."""
        return {}


class IntegerIds:
    """Unique 64-bit integers, found through a table of slots, or else their sorted order.

    Parameters
    ----------
    ids : ndarray of shape (n_samples,), dtype int64
    order : ndarray of shape (n_samples,), dtype int64
        The rows in increasing order of their ids.
    slots : ndarray of dtype int32 or int64, optional
        Made by `build_slots`; older artifacts have none.
    """

    id_type = "integer"

    def __init__(
        self, ids: NDArray[np.int64], order: RowArray, slots: NDArray[Any] | None = None
    ) -> None:
        self._ids = ids
        self._order = order
        self._slots = slots

    @classmethod
    def build(cls, ids: NDArray[np.int64]) -> IntegerIds:
        """Sort the ids, and refuse doubled ones. Takes O(n log n)."""
        order = np.argsort(ids, kind="stable").astype(np.int64, copy=False)
        ordered = ids[order]
        (doubled,) = np.nonzero(ordered[1:] == ordered[:-1])
        if doubled.size:
            # The stable order keeps equal ids in row order: the later row of each pair repeats.
            first = doubled[np.argmin(order[doubled + 1])]
            rows = order[ordered == ordered[first]].tolist()
            raise doubled_id(int(ordered[first]), rows, int(doubled.size))
        hashes = mixed(ids)
        by_hash = np.argsort(hashes)
        return cls(ids, order, build_slots(hashes[by_hash], by_hash))

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]]) -> IntegerIds:
        """Take back what `parts` returned."""
        return cls(parts["ids"], parts["ids-order"], parts.get("ids-slots"))

    def __len__(self) -> int:
        return int(self._ids.size)

    def rows_of(self, ids: Sequence[Any]) -> RowArray:
        """Return the row of each id."""
        values = whole_numbers(ids, "an integer id")
        rows = self.find(values)
        (wrong,) = np.nonzero(rows < 0)
        if wrong.size:
            value = values[int(wrong[0])]
            raise unknown_id(value, wrong.tolist(), self.near(value))
        return rows

    def find(self, ids: Sequence[int]) -> RowArray:
        """Return the row of each integer, or -1."""
        # What 64 bits do not hold is no id; the nearest that they hold stands in for it.
        wanted = np.array([_within_64_bits(value) for value in ids], dtype=np.int64)
        with _refusing_forged():
            rows = self._sorted(wanted) if self._slots is None else self._in_slots(wanted)
        too_wide = [not _SMALLEST <= value <= _LARGEST for value in ids]
        return np.where(np.array(too_wide, dtype=np.bool_), -1, rows)

    def near(self, value: int) -> list[int]:
        """Return the ids before and after an integer that is unknown."""
        with _refusing_forged():
            return self._beside(np.int64(_within_64_bits(value)))

    def _in_slots(self, wanted: NDArray[np.int64]) -> RowArray:
        """Return the row of each number, or -1."""
        slots = np.asarray(self._slots)
        rows = np.full(len(wanted), -1, dtype=np.int64)
        places = homes_of(mixed(wanted), slots)
        if len(wanted) <= _FEW:
            for at, (value, place) in enumerate(zip(wanted, places.tolist(), strict=True)):
                while (row := int(slots[place])) >= 0 and self._ids[row] != value:
                    place += 1
                rows[at] = row
            return rows
        pending = np.arange(len(wanted))
        while pending.size:
            candidates = slots[places[pending]].astype(np.int64)
            full = candidates >= 0
            pending, candidates = pending[full], candidates[full]
            found = self._ids[candidates] == wanted[pending]
            rows[pending[found]] = candidates[found]
            pending = pending[~found]
            places[pending] += 1
        return rows

    def _sorted(self, wanted: NDArray[np.int64]) -> RowArray:
        places = np.searchsorted(self._ids, wanted, sorter=self._order)
        rows = np.asarray(self._order[np.minimum(places, len(self) - 1)])
        return np.where(self._ids[rows] == wanted, rows, -1)

    def _beside(self, wanted: np.int64) -> list[int]:
        """Return the numbers before and after one that is unknown."""
        place = int(np.searchsorted(self._ids, wanted, sorter=self._order))
        return self.ids_of(self._order[max(place - 1, 0) : place + 1])

    def ids_of(self, rows: RowArray) -> list[int]:
        """Return the ids of rows as Python integers."""
        values: list[int] = self._ids[rows].tolist()
        return values

    def texts(self) -> Iterable[str]:
        """Return all ids as text, row by row."""
        return map(str, self._ids.tolist())

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store."""
        slots = {} if self._slots is None else {"ids-slots": self._slots}
        return {"ids": self._ids, "ids-order": self._order, **slots}


def _within_64_bits(value: int) -> int:
    return min(max(value, _SMALLEST), _LARGEST)


@contextmanager
def _refusing_forged() -> Iterator[None]:
    try:
        yield
    except (ValueError, IndexError) as error:
        raise ArtifactError(
            "artifact-invalid",
            "Expected arrays that a catalogue wrote, got others.",
            where="the order of the ids",
        ) from error


def whole_numbers(ids: Sequence[Any], expected: str) -> list[int]:
    """Return ids as Python integers; refuse everything else, booleans too."""
    values = []
    for place, value in enumerate(ids):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            raise wrong_type(expected, value, place)
        values.append(int(value))
    return values


def wrong_type(expected: str, value: object, place: int) -> ItemsRefused:
    """Return the refusal of an id that cannot be one of this catalogue."""
    return ItemsRefused(
        "id-type",
        f"Expected {expected}, got {quoted(value)}.",
        where=f"position {place} of the ids",
    )


def unknown_id(value: object, places: Sequence[int], near: Sequence[object]) -> ItemsRefused:
    """Return the refusal of ids that the catalogue does not hold."""
    more = f" (and {len(places) - 1} more unknown ids)" if len(places) > 1 else ""
    hint = f"The nearest are {', '.join(map(quoted, near))}." if near else None
    return ItemsRefused(
        "id-unknown",
        f"Expected an id of the catalogue, got {quoted(value)}{more}.",
        where=f"position {places[0]} of the ids",
        hint=hint,
    )


def doubled_id(value: object, rows: Sequence[int], pairs: int) -> ItemsRefused:
    """Return the refusal of ids of which one occurs in several rows."""
    more = f"; {pairs} rows repeat an id in all" if pairs > 1 else ""
    return ItemsRefused(
        "ids-doubled",
        f"Expected every id once, got {quoted(value)} {len(rows)} times{more}.",
        where=rows_named(rows),
        hint="Remove the doubled rows, or make the ids unique.",
    )
