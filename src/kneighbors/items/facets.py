"""What the values of an attribute are, in counts: what a page builds its filters from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.items.buffers import BoolArray, list_ends, numbers_of, valid_of
from kneighbors.items.kinds import kind_of
from kneighbors.items.values import json_values

if TYPE_CHECKING:
    import pyarrow as pa

MOST_VALUES = 1000
MOST_BINS = 200


def facet_of(
    name: str,
    column: pa.ChunkedArray,
    mask: BoolArray | None = None,
    *,
    n_values: int = 50,
    n_bins: int = 30,
) -> dict[str, Any]:
    """Return what the values of a column are, in counts.

    Parameters
    ----------
    name : str
        Of the attribute.
    column : pyarrow.ChunkedArray of length n_samples
    mask : ndarray of shape (n_samples,), dtype bool, optional
        Which rows are counted; all by default.
    n_values : int, default 50
        How many of the most frequent values are named, at most 1,000.
    n_bins : int, default 30
        Bars of a histogram, at most 200.

    Returns
    -------
    dict
        As JSON can hold it: ``name``, ``kind`` (see `kneighbors.items.kinds`), ``type``,
        ``operators`` of the filter language, ``n_present`` and ``n_missing``. Text, lists and
        booleans have ``values``, a list of ``{"value", "count"}``, the most frequent first, and
        ``n_values``, how many there are. Numbers, dates and times have ``min`` and ``max`` and a
        ``histogram`` of ``edges`` and ``counts``, or None where no number is finite. Its edges
        are those of all rows, whatever the mask, so that bars can be compared.
    """
    kind = kind_of(column.type)
    facet: dict[str, Any] = {
        "name": name,
        "kind": kind.name,
        "type": str(column.type),
        "operators": [*kind.operators, "null"],
    }
    chunks = list(_pieces(column, mask))
    n_present = sum(int(np.count_nonzero(kept & valid_of(chunk))) for chunk, kept in chunks)
    facet["n_present"] = n_present
    facet["n_missing"] = sum(int(np.count_nonzero(kept)) for _, kept in chunks) - n_present
    if kind.name in ("text", "list", "boolean"):
        facet |= _values(chunks, max(0, min(n_values, MOST_VALUES)))
    elif kind.name != "nothing":
        facet |= _range(chunks, max(1, min(n_bins, MOST_BINS)))
    return facet


def _pieces(
    column: pa.ChunkedArray, mask: BoolArray | None
) -> Iterator[tuple[pa.Array, BoolArray]]:
    start = 0
    for chunk in column.chunks:
        stop = start + len(chunk)
        yield chunk, np.ones(len(chunk), dtype=np.bool_) if mask is None else mask[start:stop]
        start = stop


# Values -----------------------------------------------------------------------------------------


def _values(chunks: list[tuple[pa.Array, BoolArray]], most: int) -> dict[str, Any]:
    words, counts = _counts([_taken_apart(chunk, kept) for chunk, kept in chunks])
    # Of equally frequent ones, those that come first in the corpus, and then by the alphabet.
    frequent = np.argsort(-counts, kind="stable")[:most]
    pairs = [(words[place].as_py(), int(counts[place])) for place in frequent.tolist()]
    pairs.sort(key=lambda pair: (-pair[1], pair[0]))
    return {
        "n_values": len(counts),
        "values": [{"value": value, "count": count} for value, count in pairs],
    }


def _taken_apart(chunk: pa.Array, kept: BoolArray) -> tuple[pa.Array, BoolArray]:
    """Return the values to be counted: of lists, what is in them."""
    import pyarrow.types as kinds

    wanted = kept & valid_of(chunk)
    if not kinds.is_nested(chunk.type):
        return chunk, wanted
    ends = list_ends(chunk)
    values = chunk.values.slice(int(ends[0]), int(ends[-1] - ends[0]))
    return values, np.repeat(wanted, np.diff(ends)) & valid_of(values)


def _counts(chunks: list[tuple[pa.Array, BoolArray]]) -> tuple[Any, NDArray[np.int64]]:
    """Return the values that occur, and how often."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    if not chunks:
        return [], np.zeros(0, dtype=np.int64)
    if all(kinds.is_dictionary(chunk.type) for chunk, _ in chunks):
        dictionary = chunks[0][0].dictionary
        if all(chunk.dictionary.equals(dictionary) for chunk, _ in chunks):
            codes = [numbers_of(chunk.indices)[wanted] for chunk, wanted in chunks]
            counts = np.bincount(np.concatenate(codes), minlength=len(dictionary))
            (there,) = np.nonzero(counts)
            return [dictionary[place] for place in there.tolist()], counts[there]
    plain = [
        chunk.dictionary_decode() if kinds.is_dictionary(chunk.type) else chunk
        for chunk, _ in chunks
    ]
    pairs = zip(plain, chunks, strict=True)
    chosen = [chunk.filter(_arrow_mask(wanted)) for chunk, (_, wanted) in pairs]
    found = pc.value_counts(pa.chunked_array(chosen))
    return found.field("values"), numbers_of(found.field("counts"))


def _arrow_mask(mask: BoolArray) -> pa.Array:
    import pyarrow as pa

    bits = np.packbits(mask, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, pa.py_buffer(bits)])


# Ranges -----------------------------------------------------------------------------------------


def _range(chunks: list[tuple[pa.Array, BoolArray]], n_bins: int) -> dict[str, Any]:
    nothing = {"min": None, "max": None, "histogram": None}
    if not chunks:
        return nothing
    kind = chunks[0][0].type
    pairs = [_finite(chunk, kept) for chunk, kept in chunks]
    numbers = np.concatenate([values for values, _ in pairs])
    chosen = np.concatenate([values[kept] for values, kept in pairs])
    if not numbers.size:
        return nothing
    edges = _edges(numbers.min(), numbers.max(), n_bins)
    counts = np.bincount(
        np.clip(np.searchsorted(edges, chosen, side="right") - 1, 0, len(edges) - 2),
        minlength=len(edges) - 1,
    )
    ends = chosen if chosen.size else numbers[:0]
    return {
        "min": _shown(ends.min(keepdims=True), kind)[0] if ends.size else None,
        "max": _shown(ends.max(keepdims=True), kind)[0] if ends.size else None,
        "histogram": {"edges": _shown(edges, kind), "counts": counts.tolist()},
    }


def _finite(chunk: pa.Array, kept: BoolArray) -> tuple[NDArray[Any], BoolArray]:
    """Return the numbers of a chunk that can be drawn, and which of them are counted."""
    import pyarrow as pa
    import pyarrow.types as kinds

    if kinds.is_dictionary(chunk.type):
        chunk = chunk.dictionary_decode()
    present = valid_of(chunk)
    if kinds.is_decimal(chunk.type):
        chunk = chunk.cast(pa.float64())
    values = numbers_of(chunk)
    if values.dtype.kind == "f":
        values = values.astype(np.float64, copy=False)
        present = present & np.isfinite(values)
    return values[present], kept[present]


def _edges(low: Any, high: Any, n_bins: int) -> NDArray[Any]:
    """Return the ends of bars; of whole numbers, each bar is a whole number of them wide."""
    if isinstance(low, np.floating):
        if low == high:
            return np.array([low, np.nextafter(high, np.inf)])
        return np.linspace(low, high, n_bins + 1)
    first, last = int(low), int(high)
    width = -(-(last - first + 1) // n_bins)
    edges = [first + width * place for place in range(-(-(last - first + 1) // width) + 1)]
    largest = int(np.iinfo(low.dtype).max)
    return np.array([min(edge, largest) for edge in edges], dtype=low.dtype)


def _shown(values: NDArray[Any], kind: pa.DataType) -> list[Any]:
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    if kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind):
        listed: list[Any] = values.tolist()
        return listed
    data = np.ascontiguousarray(values)
    return json_values(pa.Array.from_buffers(kind, len(data), [None, pa.py_buffer(data)]))
