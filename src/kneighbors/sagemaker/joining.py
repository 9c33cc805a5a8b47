"""Rows, ids and attributes of several artifacts, one after another, without copying the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.artifact import Artifact
from kneighbors.errors import ItemsRefused
from kneighbors.items import Catalog
from kneighbors.search.rows import FloatArray, RowArray, Rows

if TYPE_CHECKING:
    import pyarrow as pa


class JoinedRows:
    """The rows of several artifacts, one after another, as `kneighbors.search.rows.Rows`.

    Parameters
    ----------
    parts : sequence of Rows
        Of one width and one dtype; at least one.
    """

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([part.shape[0] for part in parts])
        self._starts = self._ends - [part.shape[0] for part in parts]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return int(self._ends[-1]), self._parts[0].shape[1]

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """Type of the elements."""
        return self._parts[0].dtype

    def take(self, rows: RowArray) -> FloatArray:
        """Return copies of the given rows, in the given order."""
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        homes = np.searchsorted(self._ends, rows, side="right")
        for home in np.unique(homes).tolist():
            (places,) = np.nonzero(homes == home)
            out[places] = self._parts[home].take(rows[places] - self._starts[home])
        return out

    def slice(self, start: int, stop: int) -> FloatArray:
        """Return rows ``start`` to ``stop``: mapped, or copied where several parts hold them."""
        pieces = [
            part.slice(max(start - int(begin), 0), min(stop, int(end)) - int(begin))
            for part, begin, end in zip(self._parts, self._starts, self._ends, strict=True)
            if begin < stop and start < end
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def joined_catalog(places: Sequence[str], artifacts: Sequence[Artifact]) -> Catalog:
    """Join ids and attributes; row numbers go on from one artifact to the next.

    Parameters
    ----------
    places : sequence of str
        What messages call the artifacts.
    artifacts : sequence of Artifact
        With one kind of ids, and the same attributes.

    Raises
    ------
    ItemsRefused
        With code ``ids-doubled`` if two rows have one id.
    """
    import pyarrow as pa

    n_samples = sum(artifact.manifest.n_samples for artifact in artifacts)
    tables = [artifact.catalog.table for artifact in artifacts]
    table = None
    if tables[0] is not None:
        table = pa.concat_tables([one for one in tables if one is not None])
    try:
        return Catalog(n_samples, _ids(artifacts), table)
    except ItemsRefused as error:
        if error.code != "ids-doubled":
            raise
        ends = accumulate((a.manifest.n_samples for a in artifacts), initial=0)
        spans = [
            f"{begin} to {end - 1} are {place}"
            for place, (begin, end) in zip(places, pairwise(ends), strict=True)
        ]
        raise ItemsRefused(
            error.code,
            error.message,
            where=error.where,
            hint=f"Rows {'; '.join(spans)}. Leave doubled ones out, and train again.",
        ) from error


def _ids(artifacts: Sequence[Artifact]) -> Any:
    kind = artifacts[0].catalog.id_type
    if kind == "row":
        return None
    parts = [artifact.catalog.parts() for artifact in artifacts]
    if kind == "integer":
        return np.concatenate([part["ids"] for part in parts])
    return _texts(parts)


def _texts(parts: Sequence[dict[str, Any]]) -> pa.ChunkedArray:
    """Return ids of text as an Arrow column, whose chunks are the shards' own bytes."""
    import pyarrow as pa

    return pa.chunked_array(
        [
            pa.LargeStringArray.from_buffers(
                len(part["ids-offsets"]) - 1,
                pa.py_buffer(np.ascontiguousarray(part["ids-offsets"])),
                pa.py_buffer(np.ascontiguousarray(part["ids-text"])),
            )
            for part in parts
        ]
    )
