"""The ids and the attributes of all shards as one catalogue, each where its shard keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, NoReturn

import numpy as np

from kneighbors.errors import ArtifactError
from kneighbors.items import Catalog
from kneighbors.items.ids import Ids
from kneighbors.items.numbers import IntegerIds, RowNumbers, unknown_id, whole_numbers, wrong_type
from kneighbors.items.texts import TextIds
from kneighbors.search.rows import RowArray


class JoinedIds:
    """The ids of several shards, looked for in one after another.

    Parameters
    ----------
    parts : sequence of IntegerIds or of TextIds
        Of one kind, and no id in two of them.
    """

    def __init__(self, parts: Sequence[IntegerIds] | Sequence[TextIds]) -> None:
        self._parts: list[Any] = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self._starts = self._ends - [len(part) for part in parts]
        self.id_type = parts[0].id_type

    def __len__(self) -> int:
        return int(self._ends[-1])

    def rows_of(self, ids: Sequence[Any]) -> RowArray:
        """Return the row of each id; O(len(ids)) in each shard that is looked into."""
        wanted = self._checked(ids)
        rows = self.find(wanted)
        (wrong,) = np.nonzero(rows < 0)
        if wrong.size:
            value = wanted[int(wrong[0])]
            near = dict.fromkeys(chain.from_iterable(part.near(value) for part in self._parts[:2]))
            raise unknown_id(value, wrong.tolist(), list(near)[:3])
        return rows

    def find(self, ids: Sequence[Any]) -> RowArray:
        """Return the row of each id, or -1."""
        rows = np.full(len(ids), -1, np.int64)
        for part, start in zip(self._parts, self._starts.tolist(), strict=True):
            (missing,) = np.nonzero(rows < 0)
            if not missing.size:
                break
            found = part.find([ids[place] for place in missing.tolist()])
            rows[missing] = np.where(found < 0, -1, found + start)
        return rows

    def _checked(self, ids: Sequence[Any]) -> list[Any]:
        if self.id_type == "integer":
            return whole_numbers(ids, "an integer id")
        for place, value in enumerate(ids):
            if not isinstance(value, str):
                raise wrong_type("a text id", value, place)
        return list(ids)

    def ids_of(self, rows: RowArray) -> Sequence[str | int]:
        """Return the id of each row."""
        out: list[str | int] = [0] * len(rows)
        homes = np.searchsorted(self._ends, rows, side="right")
        for home in np.unique(homes).tolist():
            (places,) = np.nonzero(homes == home)
            found = self._parts[home].ids_of(rows[places] - self._starts[home])
            for place, value in zip(places.tolist(), found, strict=True):
                out[place] = value
        return out

    def texts(self) -> Iterable[str]:
        """Return all ids as text, row by row."""
        return chain.from_iterable(part.texts() for part in self._parts)

    def parts(self) -> NoReturn:
        """Refuse: each shard keeps its own."""
        raise ArtifactError(
            "shards-unsupported",
            "Expected ids in one piece, got those of shards.",
            hint="Give a single shard, or train without --shards.",
        )


def joined_catalog(catalogs: Sequence[Catalog]) -> Catalog:
    """Return the catalogue of all shards; attributes are read when they are first needed."""
    n_samples = sum(catalog.n_samples for catalog in catalogs)
    ids: Ids
    if catalogs[0].id_type == "row":
        ids = RowNumbers(n_samples)
    else:
        ids = JoinedIds([catalog.lookup for catalog in catalogs])
    read_table = partial(_joined_table, catalogs) if catalogs[0].has_items else None
    return Catalog.of(ids, read_table)


def _joined_table(catalogs: Sequence[Catalog]) -> Any:
    import pyarrow as pa

    return pa.concat_tables([catalog.table for catalog in catalogs])
