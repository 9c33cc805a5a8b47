"""An attribute as a colour for each point of the map: a code of one byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

#: Values that have colours of their own; more than these an eye does not tell apart.
N_COLOURS = 10
#: The code of every other value, and of none.
OTHER, MISSING = 254, 255
_STEPS = 254

Codes = NDArray[np.uint8]


def by_value(column: pa.ChunkedArray, values: list[Any]) -> Codes:
    """Return the place of each row's value among the given ones.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
    values : list
        At most `N_COLOURS`, as Arrow holds them. Of a list of texts, the first one given that it
        holds decides.

    Returns
    -------
    ndarray of shape (n,), dtype uint8
        `OTHER` for other values, `MISSING` for none.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = np.full(len(column), OTHER, np.uint8)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        flat = column.combine_chunks()
        parents = pc.list_parent_indices(flat).to_numpy()
        places = _places(pc.list_flatten(flat), values)
        # The last one written stays, so the first value goes last.
        for place in reversed(range(len(values))):
            codes[parents[places == place]] = place
    else:
        places = _places(column, values)
        codes[places >= 0] = places[places >= 0]
    codes[column.is_null().to_numpy()] = MISSING
    return codes


def by_range(numbers: NDArray[np.float64], least: float, most: float) -> Codes:
    """Return where each number lies between two, in 254 steps; others are `MISSING`."""
    codes = np.full(len(numbers), MISSING, np.uint8)
    there = np.isfinite(numbers)
    span = most - least
    shares = (numbers[there] - least) / span if span > 0 else np.full(there.sum(), 0.5)
    codes[there] = np.clip(shares, 0, 1) * (_STEPS - 1)
    return codes


def _places(column: Any, values: list[Any]) -> NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_dictionary(column.type):
        column = column.cast(kind)
    found = pc.index_in(column, value_set=pa.array(values, kind))
    filled: NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return filled
