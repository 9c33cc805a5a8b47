"""Ids and attributes of several artifacts, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.artifact import Artifact
from kneighbors.errors import ItemsRefused
from kneighbors.items import Catalog

if TYPE_CHECKING:
    import pyarrow as pa


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
