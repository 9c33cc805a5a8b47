"""No id in two shards, made sure of with bounded memory.

Each shard refuses ids that are doubled within it. Of all shards together, the hashes of ids are
looked at a range at a time, ranges being so narrow that their hashes fit into memory; only where
two hashes are equal are the ids themselves compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.artifact import Artifact, open_artifact
from kneighbors.items.numbers import doubled_id
from kneighbors.shards.manifest import ShardEntry

#: Ids whose hashes are in memory at a time: 16 bytes each, and twice that while they are sorted.
_AT_ONCE = 1 << 22


def refuse_doubled(entries: Sequence[ShardEntry], target: Path, *, at_once: int = _AT_ONCE) -> None:
    """Refuse an id that is in two shards.

    Parameters
    ----------
    entries : sequence of ShardEntry
    target : Path
        Directory of the shards.
    at_once : int
        Ids whose hashes are held in memory, about.

    Raises
    ------
    ItemsRefused
        With code ``ids-doubled``, naming the id and its rows of the whole corpus.

    Notes
    -----
    Takes O(n log n) for n ids; of each shard its sorted ids are mapped, a shard at a time.
    """
    n_ids = sum(entry.rows for entry in entries)
    if len(entries) < 2:
        return
    n_ranges = -(-n_ids // at_once)
    edges = np.linspace(0, 2.0**64, n_ranges + 1)[1:-1]
    bounds: list[int | None] = [0, *(int(edge) for edge in edges.tolist()), None]
    for low, high in pairwise(bounds):
        hashes: list[NDArray[np.uint64]] = []
        rows: list[NDArray[np.int64]] = []
        for entry in entries:
            with open_artifact(target / entry.folder) as artifact:
                if artifact.manifest.id_type == "row":
                    return
                found, local = _between(artifact, low or 0, high)
                hashes.append(found)
                rows.append(local + entry.first_row)
        _compare(np.concatenate(hashes), np.concatenate(rows), entries, target)


def _between(
    artifact: Artifact, low: int, high: int | None
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashes of a range, and the rows that have them; copies of what is mapped."""
    parts = artifact.catalog.parts()
    order = parts["ids-order"]
    if artifact.manifest.id_type == "integer":
        # Integers are their own hashes, from the smallest; no two are alike.
        shifted = _shifted(parts["ids"][order])
        first, last = _edges(shifted, low, high)
        return shifted[first:last], np.array(order[first:last])
    hashes = parts["ids-hashes"]
    first, last = _edges(hashes, low, high)
    return np.array(hashes[first:last]), np.array(order[first:last])


def _shifted(ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    return ids.view(np.uint64) ^ np.uint64(1 << 63)


def _edges(hashes: NDArray[Any], low: int, high: int | None) -> tuple[int, int]:
    first = int(np.searchsorted(hashes, np.uint64(low), side="left"))
    if high is None:
        return first, len(hashes)
    return first, int(np.searchsorted(hashes, np.uint64(high), side="left"))


def _compare(
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int64],
    entries: Sequence[ShardEntry],
    target: Path,
) -> None:
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    (alike,) = np.nonzero(ordered[1:] == ordered[:-1])
    if not alike.size:
        return
    suspects = np.unique(rows[order[np.union1d(alike, alike + 1)]])
    where: dict[Any, list[int]] = {}
    for row, value in _ids_of(suspects, entries, target):
        where.setdefault(value, []).append(row)
    doubled = {value: found for value, found in where.items() if len(found) > 1}
    if doubled:
        value = min(doubled, key=lambda one: doubled[one][1])
        repeats = sum(len(found) - 1 for found in doubled.values())
        raise doubled_id(value, doubled[value], repeats)


def _ids_of(
    rows: NDArray[np.int64], entries: Sequence[ShardEntry], target: Path
) -> Iterator[tuple[int, Any]]:
    for entry in entries:
        mine = rows[(rows >= entry.first_row) & (rows < entry.stop)]
        if mine.size:
            with open_artifact(target / entry.folder) as artifact:
                ids = artifact.catalog.ids_of(mine - entry.first_row)
            yield from zip(mine.tolist(), ids, strict=True)
