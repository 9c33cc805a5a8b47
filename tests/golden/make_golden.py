"""Make the golden artifacts: written once by each version of the format, read for ever after.

``python tests/golden/make_golden.py`` writes next to itself, and refuses to write over anything.
What is there must never change: it stands for the artifacts that people have.

- ``v1/`` and ``v1.tar.gz``: 200 x 16 float32 under cosine, text ids, attributes of many types; its
  vectors lie in four blocks.
- ``v1-head.tar.gz``: 300 x 16 float64 under Euclidean distance, integer ids, no attributes; its
  vectors are so long that float32 products would overflow, and so its index has a head.
- ``*.json``: queries, and what they were answered with.
"""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kneighbors.artifact import open_artifact, pack, save, writer
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

HERE = Path(__file__).parent

Array = NDArray[Any]


def corpus(shape: tuple[int, int], rank: int, dtype: str) -> Array:
    """Return vectors of few directions and round numbers, two of them alike."""
    random = np.random.default_rng(20260101)
    directions = random.integers(-2, 3, (rank, shape[1])) / 4
    X = random.integers(-4, 5, (shape[0], rank)) @ directions
    X[:, 0] += 1 + random.integers(0, 16, shape[0]) / 16
    X[shape[0] // 2] = X[3]  # a tie
    return X.astype(dtype)


def catalog_of_wines(n_samples: int) -> Catalog:
    """Return text ids of all sorts and a column of every kind of attribute."""
    rows = range(n_samples)
    day = datetime.date(2020, 1, 1)
    names = ["Merlot", "Côte-Rôtie", "葡萄酒", "🍷", 'a "quoted" name', "two\nlines"]
    table = pa.table({
        "name": [f"{names[row % 6]} {row}" if row % 11 else None for row in rows],
        "variety": pa.array([f"variety {row % 5}" for row in rows]).dictionary_encode(),
        "price": [row / 8 if row % 7 else float("nan") for row in rows],
        "points": pa.array([80 + row % 20 for row in rows], pa.int16()),
        "organic": [None if row % 3 == 0 else row % 2 == 0 for row in rows],
        "bottled": [day + datetime.timedelta(days=row) for row in rows],
        "alcohol": [Decimal(row).scaleb(-1) for row in rows],
        "terms": [["ripe", "dark", "long"][: row % 4] for row in rows],
    })  # fmt: skip
    ids = [f"wine-{row:04d}" if row % 5 else f"vin/é {row}" for row in rows]
    return Catalog(n_samples, ids, table)


def answers(path: Path, queries: Array, n_neighbors: int, radius: float) -> dict[str, Any]:
    """Return what an artifact answers, for JSON."""
    with open_artifact(path) as artifact:
        distances, indices = artifact.index.kneighbors(queries, n_neighbors)
        within = artifact.index.radius_neighbors(queries, radius)
        return {
            "digest": artifact.manifest.digest,
            "engine": artifact.index.plan["engine"],
            "queries": queries.tolist(),
            "n_neighbors": n_neighbors,
            "distances": distances.tolist(),
            "indices": indices.tolist(),
            "radius": radius,
            "radius_distances": [found.tolist() for found in within[0]],
            "radius_indices": [found.tolist() for found in within[1]],
            "ids": artifact.catalog.ids_of(range(artifact.index.n_samples)),
            "items": artifact.catalog.attributes_of(indices[0]),
        }


def make(path: Path, index: ExactIndex, catalog: Catalog, radius: float) -> None:
    """Save, pack, ask, and write down the answers."""
    save(path, index, catalog, source={"made by": "make_golden.py", "rows": index.n_samples})
    pack(path, HERE / f"{path.name}.tar.gz")
    rows = index.rows.take(np.array([3, 17, 99]))
    queries = np.concatenate([rows, rows[::-1] * 0.75 + rows * 0.5]).astype(rows.dtype)
    found = answers(path, queries, 7, radius)
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    with (HERE / f"{path.name}.json").open("x", encoding="utf-8") as file:
        file.write(text)


def main() -> None:
    """Make all golden artifacts of the current version."""
    if any(HERE.glob("v1*")):
        sys.exit("The golden artifacts of version 1 exist, and never change.")
    writer.BLOCK_BYTES = 4096  # a small artifact with several blocks
    X = corpus((200, 16), 8, "float32")
    make(HERE / "v1", ExactIndex.build(ArrayRows(X), "cosine"), catalog_of_wines(200), 0.1)
    with tempfile.TemporaryDirectory() as folder:
        X = corpus((300, 16), 8, "float64") * 2.0**60
        index = ExactIndex.build(ArrayRows(X), "euclidean")
        catalog = Catalog(300, ids=[(79 * row) % 300 - 150 for row in range(300)])
        make(Path(folder) / "v1-head", index, catalog, 1e19)


if __name__ == "__main__":
    main()
