"""What the values of each attribute are: counts of the frequent ones, histograms of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.items.facets import facet_of
from kneighbors.items.values import json_values

if TYPE_CHECKING:
    import pyarrow as pa

Facet = dict[str, Any]

#: Values that are listed, the most frequent ones.
MOST_VALUES = 200
#: A column of more different texts is one to read, not to choose from.
_MOST_DISTINCT = 5_000
_BINS = 32
#: The histogram ends here, for a few large numbers would leave the others one bar.
_TOP_SHARE = 0.99


def facet(name: str, column: pa.ChunkedArray) -> Facet:
    """Return an attribute as the page shows it.

    Parameters
    ----------
    name : str
    column : pyarrow.ChunkedArray

    Returns
    -------
    dict
        ``name``, ``type``, ``n_missing`` and ``kind``: ``values`` or ``list`` with ``values``,
        each of ``value`` and ``count``, and ``n_distinct``; ``range`` with ``min``, ``max``,
        ``top``, ``ends``, ``is_whole`` and ``bins``; ``date`` with ``min`` and ``max``; ``text``
        and ``other`` with nothing more.
    """
    kind = kind_of(column.type)
    found: Facet = {
        "name": name,
        "type": str(column.type),
        "kind": kind,
        "n_missing": column.null_count,
    }
    if kind in ("values", "list"):
        return found | _values(name, column, is_list=kind == "list")
    if kind == "range":
        return found | _range(column)
    if kind == "date":
        return found | _dates(column)
    return found


def kind_of(type_: pa.DataType) -> str:
    """Return how an attribute of a type is chosen from, as far as its type tells."""
    import pyarrow as pa

    is_type = pa.types
    if is_type.is_list(type_) or is_type.is_large_list(type_):
        return "list"
    if is_type.is_dictionary(type_):
        return kind_of(type_.value_type)
    if is_type.is_string(type_) or is_type.is_large_string(type_) or is_type.is_boolean(type_):
        return "values"
    if is_type.is_integer(type_) or is_type.is_floating(type_) or is_type.is_decimal(type_):
        return "range"
    return "date" if is_type.is_date(type_) or is_type.is_timestamp(type_) else "other"


def numbers_of(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a column of numbers or dates as floats, NaN where there is none."""
    import pyarrow as pa

    type_ = column.type
    if pa.types.is_dictionary(type_):
        column, type_ = column.cast(type_.value_type), type_.value_type
    if kind_of(type_) == "date":
        whole = pa.int32() if pa.types.is_date32(type_) else pa.int64()
        column = column.cast(whole)
    numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    return numbers


def _values(name: str, column: pa.ChunkedArray, *, is_list: bool) -> Facet:
    counted = facet_of(name, column, n_values=MOST_VALUES)
    if counted["n_values"] > _MOST_DISTINCT and not is_list:
        return {"kind": "text"}
    return {"n_distinct": counted["n_values"], "values": counted["values"]}


def _range(column: pa.ChunkedArray) -> Facet:
    numbers = numbers_of(column)
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return {"kind": "other"}
    least, most = float(numbers.min()), float(numbers.max())
    top = float(np.quantile(numbers, _TOP_SHARE, method="higher"))
    top = most if top <= least or (most - least) < 1.5 * (top - least) else top
    whole = bool((numbers == np.floor(numbers)).all())
    bins, ends = _BINS, top if top > least else least + 1
    if whole:
        # Bars as wide as so many whole numbers: others would be full and empty by turns.
        width = -(-(top - least + 1) // _BINS)
        bins = int(-(-(top - least + 1) // width))
        ends = least + bins * width
    counts, _ = np.histogram(np.minimum(numbers, top), bins=bins, range=(least, ends))
    return {
        "min": least,
        "max": most,
        "top": top,
        "ends": ends,
        "is_whole": whole,
        "bins": counts.tolist(),
    }


def _dates(column: pa.ChunkedArray) -> Facet:
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = pc.min_max(column)
    if not ends["min"].is_valid:
        return {"kind": "other"}
    low, high = json_values(pa.array([ends["min"], ends["max"]], column.type))
    return {"min": low, "max": high}
