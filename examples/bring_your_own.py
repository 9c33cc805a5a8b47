"""Vectors in a .npy file, attributes in a CSV or Parquet file: fit them, look one up, save.

python examples/bring_your_own.py vectors.npy items.csv --id-column wine_id --id wine-0000009

Without arguments it writes two such files first, so that there is something to read.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from kneighbors import NearestNeighbors
from kneighbors.datasets import make_wines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", nargs="?", type=Path, help=".npy, one vector a row")
    parser.add_argument("items", nargs="?", type=Path, help=".csv or .parquet, a line for each row")
    parser.add_argument("--id-column", default="wine_id", help="column that names the rows")
    parser.add_argument("--id", help="whose neighbours; by default the first row's")
    parser.add_argument("--metric", default="cosine")
    parser.add_argument("--model", type=Path, help="directory to save to")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        if given.vectors is None:
            given.vectors, given.items = write_example(Path(folder), 2000)
        if given.items is None:
            parser.error("give items as well as vectors")

        # Memory-mapped, a corpus may be larger than memory.
        X = np.load(given.vectors, mmap_mode="r")
        near = NearestNeighbors(n_neighbors=6, metric=given.metric)
        near.fit(X, ids=given.id_column, items=given.items)
        look_up(near, X, given.id)
        if given.model:
            near.save(given.model)
            print(f"saved; now: kneighbors serve {given.model}")


def look_up(near: NearestNeighbors, X: np.ndarray, wanted: str | None) -> None:
    """Print what lies next to one row."""
    catalog = near.catalog_
    row = 0 if wanted is None else int(catalog.rows_of([wanted])[0])
    distances, indices = near.kneighbors(X[[row]])
    ids, items = catalog.ids_of(indices[0]), catalog.attributes_of(indices[0])
    print(f"next to {catalog.ids_of([row])[0]}:")
    for neighbour, distance, item_id, item in zip(
        indices[0], distances[0], ids, items, strict=True
    ):
        # The row itself is left out by its number: a duplicate of it may come first.
        if neighbour != row:
            print(f"  {distance:.3f}  {item_id}  {item}")


def write_example(folder: Path, n: int) -> tuple[Path, Path]:
    """Write files such as you might have."""
    wines = make_wines(n)
    vectors, items = folder / "vectors.npy", folder / "items.csv"
    np.save(vectors, wines.X)
    table = wines.items.select(["name", "variety", "price"])
    pyarrow.csv.write_csv(table.add_column(0, "wine_id", [pa.array(wines.ids)]), items)
    return vectors, items


if __name__ == "__main__":
    main()
