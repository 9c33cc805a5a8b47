"""A few rows of a table of many chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.search.rows import RowArray

if TYPE_CHECKING:
    import pyarrow as pa


class Batches:
    """A table cut where its chunks end, so that a few rows are taken without joining the chunks."""

    def __init__(self, table: pa.Table | None) -> None:
        # Batches of no rows would make two of them begin at the same row.
        self._batches = [b for b in table.to_batches() if b.num_rows] if table is not None else []
        ends = np.cumsum([batch.num_rows for batch in self._batches])
        self._starts = np.concatenate([[0], ends[:-1]]) if len(ends) else np.zeros(0, np.int64)

    def take(self, rows: RowArray, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return some columns of some rows, as JSON can hold them."""
        from kneighbors.items.values import json_values

        answers: list[dict[str, Any]] = [{} for _ in rows]
        homes = np.searchsorted(self._starts, rows, side="right") - 1
        for home in np.unique(homes).tolist():
            (places,) = np.nonzero(homes == home)
            local = _indices(rows[places] - self._starts[home])
            batch = self._batches[home]
            for name in names:
                values = json_values(batch.column(name).take(local))
                for place, value in zip(places.tolist(), values, strict=True):
                    answers[place][name] = value
        return answers


def _indices(rows: RowArray) -> pa.Array:
    import pyarrow as pa

    # pa.array would import pandas, if there is one, to ask it whether this is something of its own.
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)])
