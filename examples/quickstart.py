"""Fit, search, save, load, serve and query: the whole way in one file.

python examples/quickstart.py [--n 20000]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kneighbors import Client, NearestNeighbors, load
from kneighbors.datasets import make_wines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="number of wines")
    n = parser.parse_args().n

    # A corpus: one vector a row, and what each row stands for.
    wines = make_wines(n)
    print(f"{len(wines):,} wines, {wines.X.shape[1]} dimensions")

    # Fit and ask, as with scikit-learn. Ids and items are optional.
    near = NearestNeighbors(n_neighbors=5, metric="cosine")
    near.fit(wines.X, ids=wines.ids, items=wines.items)
    query = wines.embed(["black cherry", "vanilla", "tobacco"])
    distances, indices = near.kneighbors([query])
    for distance, wine in zip(distances[0], near.catalog_.attributes_of(indices[0]), strict=True):
        print(f"  {distance:.3f}  {wine['name']}")

    with tempfile.TemporaryDirectory() as folder:
        # Save and load. What is loaded stays on disk, and its bytes are checked when touched.
        model = Path(folder) / "wines"
        near.save(model)
        again = load(model)
        assert (again.kneighbors([query])[1] == indices).all()
        print(f"saved, loaded: the same answers from {model.name}/")

        # Serve, and ask over HTTP: by vector, then by id, leaving out that very wine.
        with serving(model) as url, Client(url) as client:
            _, rows = client.kneighbors(query, n_neighbors=5)
            assert (rows == indices[0]).all()
            print("served: the same answers over HTTP")
            (found,) = client.query(
                ids=[wines.ids[9]], n_neighbors=3, exclude_self=True, include_items=["name"]
            )
            print(f"neighbours of {wines.items['name'][9]}:")
            for distance, item in zip(found.distances, found.items or [], strict=True):
                print(f"  {distance:.3f}  {item['name']}")


@contextmanager
def serving(model: Path) -> Iterator[str]:
    """Run ``kneighbors serve`` on a free port, and give its address when it is ready."""
    command = [sys.executable, "-m", "kneighbors", "serve", str(model), "--port", "0"]
    command += ["--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            announced = server.stdout.readline()
            address = re.search(r"http://\S+", announced)
            if address is None:
                sys.exit("the server did not start; its words are above")
            yield address.group()
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
